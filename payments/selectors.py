"""Reads of the money side."""

from django.db.models import QuerySet

from orders.models import Order
from payments.models import PaymentAttempt, PaymentChannel, Receipt
from payments.states import ReceiptStatus


def enabled_channels(order: Order) -> QuerySet[PaymentChannel]:
    """The ways in which this order may be paid, in the merchant's order."""
    return PaymentChannel.objects.filter(shop_id=order.shop_id, is_enabled=True)


def attempts_of(order: Order) -> QuerySet[PaymentAttempt]:
    return PaymentAttempt.objects.filter(payment__order=order).select_related("channel").order_by("pk")


def money_waits(order: Order) -> bool:
    """Whether money has come for the order that could not be applied to it by itself."""
    waiting = [ReceiptStatus.SHORT, ReceiptStatus.ATTENTION]
    return Receipt.objects.filter(attempt__payment__order=order, status__in=waiting).exists()
