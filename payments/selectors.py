"""Reads of the money side."""

from django.db.models import Q, QuerySet

from orders.models import Order
from payments.models import PaymentAttempt, PaymentChannel, Receipt
from payments.states import ReceiptStatus

# Receipts that a person has still to see to.
WAITS_FOR_PERSON = ~Q(attention="") & Q(resolved_at=None)


def enabled_channels(order: Order) -> QuerySet[PaymentChannel]:
    """The ways in which this order may be paid, in the merchant's order."""
    return PaymentChannel.objects.filter(shop_id=order.shop_id, is_enabled=True)


def attempts_of(order: Order) -> QuerySet[PaymentAttempt]:
    return PaymentAttempt.objects.filter(payment__order=order).select_related("channel").order_by("pk")


def money_waits(order: Order) -> bool:
    """Whether money has come for the order that could not be applied to it by itself."""
    unapplied = [ReceiptStatus.SHORT, ReceiptStatus.ATTENTION]
    receipts = Receipt.objects.filter(attempt__payment__order=order, status__in=unapplied)
    return receipts.filter(WAITS_FOR_PERSON).exists()
