"""What a buyer may send, the same for page and API. Whatever else comes along is refused."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from cardshop.common.api import StrictSerializer, WholeNumberField, printable
from inventory.models import LONGEST_ANSWER
from orders.answers import PREFIX
from orders.clicks import IDEMPOTENCY_KEY


class AnswersField(serializers.DictField):
    """What the buyer answers, by the id of the question. A number may come as one."""

    child = serializers.CharField(max_length=LONGEST_ANSWER, allow_blank=True)

    def run_child_validation(self, data: Any) -> Any:
        try:
            return super().run_child_validation(data)
        except serializers.ValidationError as wrong:
            # Flat, as the fields of every other error are.
            by_question: Any = wrong.detail
            said = [f"{printable(key)}: {' '.join(map(str, why))}" for key, why in by_question.items()]
            raise serializers.ValidationError(said[:20]) from wrong


class BuyInput(StrictSerializer):
    """One form. `pass` and `idempotency_key` come from the page, or from `POST /api/v1/passes/`."""

    answers = AnswersField(
        required=False, default=dict, help_text="To the `buyer_fields` of the variant, by their ids."
    )
    quantity = WholeNumberField(min_value=1, max_value=10_000)
    contact_email = serializers.EmailField(max_length=254)
    idempotency_key = serializers.RegexField(IDEMPOTENCY_KEY)

    def get_fields(self) -> dict[str, "serializers.Field[object, object, object, object]"]:
        # "pass" is a keyword, so it cannot be declared above.
        return {"pass": serializers.CharField(max_length=300), **super().get_fields()}


def with_answers(entered: Mapping[str, str]) -> dict[str, Any]:
    """A posted form as BuyInput takes it: `answers.12=…` becomes `answers: {"12": …}`."""
    answers = {name.removeprefix(PREFIX): text for name, text in entered.items() if name.startswith(PREFIX)}
    rest = {name: text for name, text in entered.items() if not name.startswith(PREFIX)}
    return {**rest, "answers": answers} if answers else rest


class ContactInput(StrictSerializer):
    contact_email = serializers.EmailField(max_length=254)
