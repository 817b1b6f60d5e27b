"""Reads of the money side."""

from django.db.models import QuerySet

from orders.models import Order
from payments.models import PaymentAttempt, PaymentChannel, Receipt


def enabled_channels(order: Order) -> QuerySet[PaymentChannel]:
    """The ways in which this order may be paid, in the merchant's order."""
    return PaymentChannel.objects.filter(shop_id=order.shop_id, is_enabled=True)


def attempts_of(order: Order) -> QuerySet[PaymentAttempt]:
    return PaymentAttempt.objects.filter(payment__order=order).select_related("channel").order_by("pk")


def money_received(order: Order) -> bool:
    """Whether any money at all has come in for the order, applied or not."""
    return Receipt.objects.filter(attempt__payment__order=order).exists()
