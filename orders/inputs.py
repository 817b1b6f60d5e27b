"""What a buyer may send, the same for page and API. Whatever else comes along is refused."""

from rest_framework import serializers

from cardshop.common.api import StrictSerializer, WholeNumberField
from orders.clicks import IDEMPOTENCY_KEY


class BuyInput(StrictSerializer):
    """One form. `pass` and `idempotency_key` come from the page, or from `POST /api/v1/passes/`."""

    quantity = WholeNumberField(min_value=1, max_value=10_000)
    contact_email = serializers.EmailField(max_length=254)
    idempotency_key = serializers.RegexField(IDEMPOTENCY_KEY)

    def get_fields(self) -> dict[str, "serializers.Field[object, object, object, object]"]:
        # "pass" is a keyword, so it cannot be declared above.
        return {"pass": serializers.CharField(max_length=300), **super().get_fields()}


class ContactInput(StrictSerializer):
    contact_email = serializers.EmailField(max_length=254)
