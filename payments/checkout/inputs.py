"""What may be sent with an order's link."""

from rest_framework import serializers

from cardshop.common.api import StrictSerializer


class PayInput(StrictSerializer):
    channel = serializers.SlugField(max_length=40)
