"""Reads of the money side."""

from dataclasses import dataclass

from django.db.models import Q, QuerySet

from orders.models import Order
from payments.models import PaymentAttempt, PaymentChannel
from payments.states import ReceiptStatus

# Receipts that a person has still to see to.
WAITS_FOR_PERSON = ~Q(attention="") & Q(resolved_at=None)
_UNAPPLIED = (ReceiptStatus.SHORT, ReceiptStatus.ATTENTION)


def enabled_channels(order: Order) -> QuerySet[PaymentChannel]:
    """The ways in which this order may be paid, in the merchant's order."""
    return PaymentChannel.objects.filter(shop_id=order.shop_id, is_enabled=True)


def attempts_of(order: Order) -> QuerySet[PaymentAttempt]:
    return PaymentAttempt.objects.filter(payment__order=order).select_related("channel").order_by("pk")


@dataclass(frozen=True)
class MoneySeen:
    """Whether anybody was sent to pay, and whether money came that could not be applied by itself."""

    was_tried: bool
    waits: bool


def money_seen(order: Order) -> MoneySeen:
    """What an unpaid order's page has to know of its money, in one query."""
    attempts = PaymentAttempt.objects.filter(payment__order=order)
    receipts = list(attempts.values_list("receipts__status", "receipts__attention", "receipts__resolved_at"))
    return MoneySeen(
        was_tried=bool(receipts),
        waits=any(
            status in _UNAPPLIED and attention and resolved_at is None
            for status, attention, resolved_at in receipts
        ),
    )
