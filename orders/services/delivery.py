"""Handing over keys, in batches, exactly once."""

from collections import defaultdict
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from cardshop.common.locks import lock_rows
from cardshop.outbox.services import promise_all
from inventory.card_keys import reusable_keys
from inventory.errors import KeysDoNotOpen, ShortPick
from inventory.models import Stock
from inventory.picking import pick_keys, pick_with_care
from orders.models import DeliveredKey, Order, OrderItem
from orders.services.transitions import SYSTEM, ask_for_attention, note, transition_all
from orders.states import ItemStatus, OrderStatus

SHORT_OF_KEYS = "paid, but there are fewer keys than the counter promised: import keys, then deliver"
DO_NOT_OPEN = "paid, but its keys cannot be opened: put CARD_KEY_KEK right or import others, then deliver"
DAMAGED = "delivered, but a damaged key was found on the way and withdrawn: look at its batch"
HANDED_OVER = "keys handed over"


def deliver_orders(order_ids: list[int], now: datetime) -> None:
    """Deliver whichever of these orders are paid; what is already delivered is passed over, and so are lines
    that are being refunded, or that a person fills in. Their order gets its other keys, and is delivered when
    the refund has ended, or the last of them is filled in.

    Raises ShortPick when several orders were asked for and keys ran short for a moment: nothing was
    delivered, ask for them one by one. A single order waits its turn under the Stock lock instead,
    and a shortage seen there is real: the order is put before a person. So it is where keys do not open.
    """
    try:
        _deliver(order_ids, now, alone=False)
    except ShortPick:
        if len(order_ids) > 1:
            raise
        try:
            _deliver(order_ids, now, alone=True)
        except ShortPick as short:
            why = DO_NOT_OPEN if isinstance(short, KeysDoNotOpen) else SHORT_OF_KEYS
            _put_before_person(order_ids[0], why, now)


def deliver_waiting(variant_ids: list[int], now: datetime) -> None:
    """Keys have come: try again what was put before a person, since there were none of these variants."""
    waiting = Order.objects.filter(attention__in=[SHORT_OF_KEYS, DO_NOT_OPEN], items__variant__in=variant_ids)
    _deliver_again(waiting, now)


def deliver_all_waiting(now: datetime) -> None:
    """The same for all variants: keys may have come back, or the encryption key have been put right."""
    _deliver_again(Order.objects.filter(attention__in=[SHORT_OF_KEYS, DO_NOT_OPEN]), now)


@transaction.atomic(durable=True)
def _deliver_again(orders: QuerySet[Order], now: datetime) -> None:
    paid = orders.filter(status=OrderStatus.PAID, items__status=ItemStatus.OPEN).order_by("pk")
    promise_all("orders.deliver", dict(paid.values_list("pk", "shop")), now=now)


@transaction.atomic(durable=True)
def _put_before_person(order_id: int, why: str, now: datetime) -> None:
    """Unless another worker has found keys for it meanwhile."""
    (orders,) = lock_rows(Order.objects.filter(pk=order_id, status=OrderStatus.PAID))
    for order in orders:
        is_open = OrderItem.objects.filter(order=order, status=ItemStatus.OPEN, due_at=None).exists()
        if is_open and order.attention != why:
            ask_for_attention(order, why, now=now)


@transaction.atomic(durable=True)
def _deliver(order_ids: list[int], now: datetime, *, alone: bool) -> None:
    paid: list[Order]
    (paid,) = lock_rows(Order.objects.filter(pk__in=order_ids, status=OrderStatus.PAID, is_top_up=False))
    lines = OrderItem.objects.filter(order__in=paid, status__in=[ItemStatus.OPEN, ItemStatus.REFUNDING])
    unsettled = list(lines.order_by("pk"))
    items = [item for item in unsettled if item.status == ItemStatus.OPEN and item.due_at is None]
    damaged = 0
    if alone:
        damaged = _hand_over_with_care(items, now)
    else:
        hand_over(items, now)
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
        if damaged:
            ask_for_attention(order, DAMAGED, now=now)
    promise_all(
        "orders.mail_delivery", {order.pk: order.shop_id for order in paid if order.pk in served}, now=now
    )


def hand_over(items: list[OrderItem], now: datetime) -> None:
    """Put keys into the slots of these lines. Raises ShortPick: the transaction has to roll back."""
    reusable = _reusable_keys(items)
    picked = {
        variant_id: pick_keys(variant_id=variant_id, quantity=quantity, now=now)
        for variant_id, quantity in sorted(_wanted(items, reusable).items())
    }
    _note_delivered(items, picked, reusable, now)


def _hand_over_with_care(items: list[OrderItem], now: datetime) -> int:
    """Under the Stocks' locks; returns how many damaged keys were found on the way."""
    reusable = _reusable_keys(items)
    wanted = _wanted(items, reusable)
    (stocks,) = lock_rows(Stock.objects.filter(variant__in=wanted))
    picked, damaged = {}, 0
    for stock in (stock for stock in stocks if stock.pool == Stock.PUBLIC):
        picked[stock.variant_id], found = pick_with_care(
            stock=stock, quantity=wanted[stock.variant_id], now=now
        )
        damaged += found
    _note_delivered(items, picked, reusable, now)
    return damaged


def _wanted(items: list[OrderItem], reusable: dict[int, int]) -> dict[int, int]:
    """Units that want a key of their own, by variant."""
    wanted: dict[int, int] = defaultdict(int)
    for item in items:
        if item.pk not in reusable:
            wanted[item.variant_id] += item.quantity
    return wanted


def _note_delivered(
    items: list[OrderItem], keys: dict[int, list[int]], reusable: dict[int, int], now: datetime
) -> None:
    picked = {variant_id: iter(ids) for variant_id, ids in keys.items()}
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
