"""What may be sent with an order's link."""

from rest_framework import serializers

from cardshop.common.api import StrictSerializer
from payments.models import PaymentChannel


class PayInput(StrictSerializer):
    method = serializers.ChoiceField([method for method, _name in PaymentChannel.METHODS])
    code = serializers.CharField(
        max_length=64,
        required=False,
        allow_blank=True,
        default="",
        help_text="Of a prepaid balance, for the method `balance`.",
    )
