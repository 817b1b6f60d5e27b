"""Hears of orders that move and of money that goes back, and writes the events of it in that transaction."""

import re
from collections.abc import Sequence
from datetime import datetime

from orders.models import Order
from orders.states import OrderStatus
from payments.models import Refund
from resellers.events.emitting import emit_order_events
from resellers.models import EventKind
from resellers.orders.filling import BUYER

# What a reseller's orders are known by, without asking for more. Buyers' keys are hexadecimal digests.
_OF_RESELLER = re.compile(rf"{BUYER}([0-9]+)", re.ASCII)

KINDS = {
    OrderStatus.PAID: EventKind.PAID,
    OrderStatus.DELIVERED: EventKind.DELIVERED,
    OrderStatus.CANCELLED: EventKind.CANCELLED,
    OrderStatus.EXPIRED: EventKind.CANCELLED,
}


def tell_that_they_moved(*, orders: Sequence[Order], after: str, now: datetime, **_said: object) -> None:
    """Not of top-ups, which sell nothing: accounts have their entries."""
    goods = [order for order in orders if not order.is_top_up]
    if goods and (kind := KINDS.get(OrderStatus(after))):
        emit_order_events(kind, goods, resellers_of(goods), now)


def tell_that_money_went_back(*, refund: Refund, order: Order, now: datetime, **_said: object) -> None:
    """Of a line, whose variant is said then, or of some of its money. With its last line it is refunded."""
    if order.is_top_up:
        return
    variant = refund.item.variant.code if refund.item else None
    said = {"amount_minor": refund.amount_minor, "variant": variant}
    emit_order_events(EventKind.REFUNDED, [order], resellers_of([order]), now, said=said)


def resellers_of(orders: Sequence[Order]) -> dict[int, int]:
    """By order id, of those that are a reseller's."""
    found = {order.pk: _OF_RESELLER.fullmatch(order.buyer_key) for order in orders}
    return {pk: int(reseller[1]) for pk, reseller in found.items() if reseller}
