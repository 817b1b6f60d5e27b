"""Orders move by table, by compare-and-set, and never without a line in their history."""

from collections.abc import Sequence
from datetime import datetime

import structlog
from django.db import transaction

from cardshop.common.locks import lock_rows
from orders import signals
from orders.metrics import orders as orders_counted
from orders.models import Order, OrderEvent
from orders.states import NEXT, IllegalTransition

logger = structlog.get_logger(__name__)

SYSTEM = "system"
BUYER = "buyer"
PROVIDER = "provider"


def transition(order: Order, to: str, *, reason: str, actor: str, now: datetime, **changes: object) -> bool:
    """Move `order` on and record why; True only for the caller who moved it.

    The UPDATE asks for the status the caller saw, so of many racers one matches the row.
    `changes` are fields that change with the status. Raises IllegalTransition if NEXT forbids it.
    """
    return transition_all([order], to, reason=reason, actor=actor, now=now, **changes) == 1


@transaction.atomic(savepoint=False)
def transition_all(
    orders: Sequence[Order], to: str, *, reason: str, actor: str, now: datetime, **changes: object
) -> int:
    """Move orders that share one status in one UPDATE; returns how many moved.

    With more than one order the caller holds their locks, so that all of them move.
    """
    if not orders:
        return 0
    (seen,) = {order.status for order in orders}
    if to not in NEXT[seen]:
        raise IllegalTransition(f"{orders[0].number}: {seen} to {to}")
    ids = [order.pk for order in orders]
    moved = Order.objects.filter(pk__in=ids, status=seen).update(status=to, **changes)
    if moved != len(orders):
        if len(orders) > 1:
            raise IllegalTransition(f"{moved} of {len(orders)} moved from {seen} to {to}: not locked")
        return 0
    OrderEvent.objects.bulk_create(
        OrderEvent(order=order, before=seen, after=to, reason=reason, actor=actor, at=now) for order in orders
    )
    numbers = [order.number for order in orders]

    def tell() -> None:
        orders_counted.labels(to).inc(moved)
        logger.info("orders moved", orders=numbers, before=seen, after=to, reason=reason)

    transaction.on_commit(tell, robust=True)
    for order in orders:
        order.status = to
        for name, value in changes.items():
            setattr(order, name, value)
    signals.moved.send(None, orders=orders, before=seen, after=to, reason=reason, now=now)
    return moved


def note(order: Order, *, reason: str, actor: str, now: datetime) -> None:
    """Write into the history what happened without changing the state."""
    OrderEvent.objects.create(
        order=order, before=order.status, after=order.status, reason=reason, actor=actor, at=now
    )


@transaction.atomic
def ask_for_attention(order: Order, why: str, *, now: datetime) -> None:
    """Put the order before a person, with the reason."""
    ((locked,),) = lock_rows(Order.objects.filter(pk=order.pk))
    Order.objects.filter(pk=locked.pk).update(attention=why)
    note(locked, reason=why, actor=SYSTEM, now=now)
