"""Orders that are paid as they are placed: there is no hold to wait with, so all of it is one transaction."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from cardshop.outbox.services import promise_all
from inventory import stock
from inventory.models import Fulfilment, Variant
from orders import signals
from orders.metrics import orders as orders_counted
from orders.models import Order, OrderEvent, OrderItem, Reservation
from orders.services.delivery import HANDED_OVER, hand_over
from orders.services.transitions import SYSTEM
from orders.states import HoldStatus, ItemStatus, OrderStatus


@dataclass(frozen=True, kw_only=True)
class Line:
    """What an order gets of one Stock row. The caller holds that row, and has seen that it is free."""

    variant: Variant
    stock_id: int
    quantity: int
    unit_price_minor: int


@transaction.atomic(savepoint=False)
def sell_at_once(
    sold: Sequence[tuple[Order, Sequence[Line]]], *, actor: str, now: datetime, deliver: bool
) -> None:
    """Write new orders, with lines, claims and history, and hand over their keys.

    The caller writes their payments in the same transaction. An order that a person fills in stays paid until
    then; so do all of them where `deliver` is false, and the workers deliver them. Raises ShortPick when
    keys ran short for a moment: the transaction has to roll back.
    """
    for order, lines in sold:
        at_once = deliver and not any(line.variant.fulfilment == Fulfilment.MANUAL for line in lines)
        order.status = OrderStatus.DELIVERED if at_once else OrderStatus.PAID
        order.delivered_at = now if at_once else None
    orders = [order for order, _ in sold]
    Order.objects.bulk_create(orders)
    items = OrderItem.objects.bulk_create(_item(order, line, now) for order, lines in sold for line in lines)
    lines = [line for _, lines in sold for line in lines]
    Reservation.objects.bulk_create(
        Reservation(item=item, stock_id=line.stock_id, quantity=line.quantity, status=HoldStatus.SOLD)
        for item, line in zip(items, lines, strict=True)
    )
    OrderEvent.objects.bulk_create(event for order in orders for event in _history(order, actor, now))
    _claim(lines)
    hand_over([item for item in items if item.status == ItemStatus.DELIVERED], now)
    left = {order.pk: order.shop_id for order in orders if order.status == OrderStatus.PAID}
    promise_all("orders.deliver", left, now=now)
    _tell(orders, now)
    _count(orders)


def _item(order: Order, line: Line, now: datetime) -> OrderItem:
    variant = line.variant
    within = variant.promised_hours
    return OrderItem(
        order=order,
        variant=variant,
        product_name=variant.product.name,
        product_name_en=variant.product.name_en,
        variant_name=variant.name,
        variant_name_en=variant.name_en,
        unit_price_minor=line.unit_price_minor,
        quantity=line.quantity,
        status=ItemStatus.DELIVERED if order.status == OrderStatus.DELIVERED else ItemStatus.OPEN,
        fulfil_within_hours=within,
        due_at=None if within is None else now + timedelta(hours=within),
    )


def _history(order: Order, actor: str, now: datetime) -> list[OrderEvent]:
    placed = OrderEvent(order=order, after=OrderStatus.PENDING, reason="placed", actor=actor, at=now)
    paid = OrderEvent(
        order=order,
        before=OrderStatus.PENDING,
        after=OrderStatus.PAID,
        reason="paid as it was placed",
        actor=actor,
        at=now,
    )
    delivered = OrderEvent(
        order=order,
        before=OrderStatus.PAID,
        after=OrderStatus.DELIVERED,
        reason=HANDED_OVER,
        actor=SYSTEM,
        at=now,
    )
    return [placed, paid, delivered] if order.status == OrderStatus.DELIVERED else [placed, paid]


def _claim(lines: Sequence[Line]) -> None:
    units: Counter[int] = Counter()
    for line in lines:
        units[line.stock_id] += line.quantity
    for stock_id, quantity in sorted(units.items()):
        stock.claim_locked(stock_id=stock_id, quantity=quantity)


def _tell(orders: Sequence[Order], now: datetime) -> None:
    """As if they had moved one step after the other; they show where they have come to."""
    steps = [(OrderStatus.PENDING, OrderStatus.PAID), (OrderStatus.PAID, OrderStatus.DELIVERED)]
    delivered = [order for order in orders if order.status == OrderStatus.DELIVERED]
    for (before, after), moved in zip(steps, [orders, delivered], strict=True):
        if moved:
            signals.moved.send(None, orders=moved, before=before, after=after, reason="", now=now)


def _count(orders: Sequence[Order]) -> None:
    came_to = Counter(order.status for order in orders)

    def tell() -> None:
        for status, count in came_to.items():
            orders_counted.labels(status).inc(count)

    transaction.on_commit(tell, robust=True)
