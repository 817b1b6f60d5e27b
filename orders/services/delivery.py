"""Handing over keys, in batches, exactly once."""

from collections import defaultdict
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from cardshop.common.locks import lock_rows
from cardshop.outbox.services import promise_all
from inventory.card_keys import pick_keys, reusable_keys
from inventory.errors import ShortPick
from inventory.models import Stock
from orders.models import DeliveredKey, Order, OrderItem
from orders.services.transitions import SYSTEM, ask_for_attention, note, transition_all
from orders.states import ItemStatus, OrderStatus

SHORT_OF_KEYS = "paid, but there are fewer keys than the counter promised: import keys, then deliver"
HANDED_OVER = "keys handed over"


def deliver_orders(order_ids: list[int], now: datetime) -> None:
    """Deliver whichever of these orders are paid; what is already delivered is passed over, and so are lines
    that are being refunded, or that a person fills in. Their order gets its other keys, and is delivered when
    the refund has ended, or the last of them is filled in.

    Raises ShortPick when several orders were asked for and keys ran short for a moment: nothing was
    delivered, ask for them one by one. A single order waits its turn under the Stock lock instead,
    and a shortage seen there is real: the order is put before a person.
    """
    try:
        _deliver(order_ids, now, alone=False)
    except ShortPick:
        if len(order_ids) > 1:
            raise
        try:
            _deliver(order_ids, now, alone=True)
        except ShortPick:
            _put_before_person(order_ids[0], now)


@transaction.atomic(durable=True)
def _put_before_person(order_id: int, now: datetime) -> None:
    """Unless another worker has found keys for it meanwhile."""
    (orders,) = lock_rows(Order.objects.filter(pk=order_id, status=OrderStatus.PAID))
    for order in orders:
        if OrderItem.objects.filter(order=order, status=ItemStatus.OPEN, due_at=None).exists():
            ask_for_attention(order, SHORT_OF_KEYS, now=now)


@transaction.atomic(durable=True)
def _deliver(order_ids: list[int], now: datetime, *, alone: bool) -> None:
    paid: list[Order]
    (paid,) = lock_rows(Order.objects.filter(pk__in=order_ids, status=OrderStatus.PAID))
    lines = OrderItem.objects.filter(order__in=paid, status__in=[ItemStatus.OPEN, ItemStatus.REFUNDING])
    unsettled = list(lines.order_by("pk"))
    items = [item for item in unsettled if item.status == ItemStatus.OPEN and item.due_at is None]
    if alone:
        lock_rows(Stock.objects.filter(variant__in=[item.variant_id for item in items]))
    _hand_over(items, now, wait=alone)
    OrderItem.objects.filter(pk__in=[item.pk for item in items]).update(status=ItemStatus.DELIVERED)
    # Should the refund of a line fail, that line is still to be delivered: until then its order stays paid.
    # So it does until a person has filled in what is theirs.
    unfinished = {item.order_id for item in unsettled if item not in items}
    served = {item.order_id for item in items}
    transition_all(
        [order for order in paid if order.pk not in unfinished],
        OrderStatus.DELIVERED,
        reason=HANDED_OVER,
        actor=SYSTEM,
        now=now,
        delivered_at=now,
        attention="",
    )
    for order in paid:
        if order.pk in unfinished & served:
            Order.objects.filter(pk=order.pk).update(delivered_at=now, attention="")
            note(order, reason=HANDED_OVER, actor=SYSTEM, now=now)
    promise_all(
        "orders.mail_delivery", {order.pk: order.shop_id for order in paid if order.pk in served}, now=now
    )


def _hand_over(items: list[OrderItem], now: datetime, *, wait: bool) -> None:
    """One key a unit, each of its own, or the reusable one. Raises ShortPick."""
    reusable = _reusable_keys(items)
    wanted: dict[int, int] = defaultdict(int)
    for item in items:
        if item.pk not in reusable:
            wanted[item.variant_id] += item.quantity
    picked = {
        variant_id: iter(pick_keys(variant_id=variant_id, quantity=quantity, wait=wait))
        for variant_id, quantity in sorted(wanted.items())
    }
    DeliveredKey.objects.bulk_create(
        DeliveredKey(
            item=item,
            slot=slot,
            card_key_id=reusable.get(item.pk) or next(picked[item.variant_id]),
            is_reusable=item.pk in reusable,
            delivered_at=now,
        )
        for item in items
        for slot in range(item.quantity)
    )


def _reusable_keys(items: list[OrderItem]) -> dict[int, int]:
    """The key that all buyers get, by line; lines whose units have keys of their own are left out."""
    of_variant = reusable_keys(item.variant_id for item in items)
    return {item.pk: of_variant[item.variant_id] for item in items if item.variant_id in of_variant}


def complete_delivered_orders(now: datetime, *, limit: int = 1000) -> int:
    """Complete orders delivered COMPLETE_AFTER_DAYS ago; returns how many."""
    before = now - timedelta(days=settings.COMPLETE_AFTER_DAYS)
    due = Order.objects.filter(status=OrderStatus.DELIVERED, delivered_at__lt=before)
    ids = list(due.order_by("delivered_at").values_list("pk", flat=True)[:limit])
    with transaction.atomic(durable=True):
        (orders,) = lock_rows(due.filter(pk__in=ids))
        return transition_all(orders, OrderStatus.COMPLETED, reason="no complaint", actor=SYSTEM, now=now)
