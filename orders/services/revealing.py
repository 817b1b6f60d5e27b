"""Keys before their buyer's eyes; and a person before the order where a key does not open."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from cardshop.common.locks import lock_rows
from orders.models import Order, OrderItem
from orders.selectors import RevealedKeys, revealed_keys
from orders.services.transitions import SYSTEM, ask_for_attention, note

CLOSED = "a delivered key does not open: put CARD_KEY_KEK right, or replace the key"
OPEN_AGAIN = "all keys of the order open again"


def keys_for_buyer(order: Order, *, now: datetime) -> list[tuple[OrderItem, RevealedKeys]]:
    """The lines with their keys in clear. Those that do not open are left out, and the shop is told."""
    lines = revealed_keys(order)
    is_closed = closed_keys(lines) > 0
    if (is_closed and not order.attention) or (not is_closed and order.attention == CLOSED):
        _note(order, is_closed=is_closed, now=now)
    return lines


def closed_keys(lines: Sequence[tuple[OrderItem, RevealedKeys]]) -> int:
    """How many of them cannot be shown."""
    return sum(keys.closed for _item, keys in lines)


@transaction.atomic(durable=True)
def _note(order: Order, *, is_closed: bool, now: datetime) -> None:
    """Once, and never over another reason for which the order waits."""
    (orders,) = lock_rows(Order.objects.filter(pk=order.pk, attention="" if is_closed else CLOSED))
    for locked in orders:
        if is_closed:
            ask_for_attention(locked, CLOSED, now=now)
        else:
            Order.objects.filter(pk=locked.pk).update(attention="")
            note(locked, reason=OPEN_AGAIN, actor=SYSTEM, now=now)
