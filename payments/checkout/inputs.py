"""What may be sent with an order's link."""

from rest_framework import serializers

from cardshop.common.api import StrictSerializer


class PayInput(StrictSerializer):
    channel = serializers.SlugField(max_length=40)
    code = serializers.CharField(
        max_length=64,
        required=False,
        allow_blank=True,
        default="",
        help_text="Of a prepaid balance, for a channel whose method is `balance`.",
    )
