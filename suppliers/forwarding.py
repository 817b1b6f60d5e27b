"""Asks suppliers for what has been paid for here, and hands it on.

Each step can be done again, wherever it was broken off: under its one key an order happens there once, and a
line is filled in once. A buyer's money goes back only after a definite no. Until there is one, or the goods,
the supplier may have sold them, and is asked again and again; a person is told when it is late.
"""

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from threading import Lock

import structlog
from django.db import connection, transaction
from django.db.models import Q, QuerySet

from cardshop.common.errors import Invalid
from cardshop.common.locks import lock_rows
from orders.errors import FilledInMeanwhile
from orders.models import DeliveredKey, Order, OrderItem
from orders.services.fulfilling import OVERDUE, fill_in, missing_slots
from orders.services.transitions import ask_for_attention
from orders.states import ItemStatus, OrderStatus
from payments.models import Refund
from payments.services.refunds import NotRefundable, money_for, refundable_minor, request_refund
from payments.states import RefundStatus
from suppliers.drivers import upstream_of
from suppliers.drivers.base import Bought, NotNow, Refused, Silent, Unclear
from suppliers.models import SupplierOrder, SupplyStatus

logger = structlog.get_logger(__name__)

ACTOR = "supplier: "  # and its name; no person is called so, since user names have no spaces in them
RUN = 10.0  # seconds
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=5)
REST = timedelta(seconds=30)

NO_REFUND = "its supplier did not have it, and its money could not be sent back: refund it, or fill it in"
SILENT = "its supplier has not said whether it was sold: look there first, then fill it in or refund it"
LEFT_OVER = "its supplier sold it, and somebody had filled it in or refunded it: see to what was bought there"
NOT_AS_ORDERED = "its supplier says that it was delivered, but not all of it can be handed on: look there"

LEASE_ONE = """
    WITH due AS MATERIALIZED (
        SELECT id FROM suppliers_supplierorder
        WHERE next_at <= %(now)s AND (status = 'failed' OR supplier_id <> ALL(%(silent)s::bigint[]))
        ORDER BY next_at, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE suppliers_supplierorder AS row
    -- Longer than all that one step does, with its time-outs.
    SET attempts = attempts + 1, next_at = %(now)s + interval '60 seconds'
    FROM due WHERE row.id = due.id RETURNING row.id"""

_at_it = Lock()


def forward_due(*, clock: Callable[[], datetime]) -> int:
    """Do what is due until nothing is, or for RUN seconds; returns how many were looked at.

    One run at a time in a process: the other threads of its queue are for others, whoever is slow here.
    """
    if not _at_it.acquire(blocking=False):
        return 0
    try:
        return _forward(clock)
    finally:
        _at_it.release()


def _forward(clock: Callable[[], datetime]) -> int:
    looked_at, began = 0, time.monotonic()
    silent: set[int] = set()
    while time.monotonic() - began < RUN and (row := _lease_one(clock(), silent)) is not None:
        try:
            _STEPS[SupplyStatus(row.status)](row, clock)
        except NotNow as no:
            _put_off(row, clock(), error=str(no))
        except Silent as silence:
            silent.add(row.supplier_id)
            _put_off_all(row.supplier_id, clock())
            _put_off(row, clock(), error=str(silence))
        except Unclear as unclear:
            _put_off(row, clock(), error=str(unclear))
        except Exception as error:  # one odd order must not end the sweep for all others
            logger.exception("supplier's order failed", order=row.reference)
            _put_off(row, clock(), error=type(error).__name__)
        looked_at += 1
    return looked_at


def _lease_one(now: datetime, silent: set[int]) -> SupplierOrder | None:
    with connection.cursor() as cursor:
        cursor.execute(LEASE_ONE, {"now": now, "silent": sorted(silent)})
        row = cursor.fetchone()
    if row is None:
        return None
    return SupplierOrder.objects.select_related("supplier", "item__order").get(pk=row[0])


# To be asked for


def _send(row: SupplierOrder, clock: Callable[[], datetime]) -> None:
    """Raises NotNow, Unclear."""
    if not _is_waited_for(row):
        _look_whether_it_was_bought(row, clock)
        return
    if not row.supplier.is_enabled:
        raise NotNow("the supplier is switched off")
    upstream = upstream_of(row.supplier)
    sent_before = row.unanswered_at
    if not _as_leased(row).update(unanswered_at=clock()):
        return  # somebody else is at it
    try:
        bought = upstream.order(
            key=row.idempotency_key,
            code=row.their_code,
            quantity=row.quantity,
            most_minor=row.most_minor,
            reference=row.reference,
        )
    except Refused as no:
        _heard_no(row, no.code, sent_before, clock(), still_arrives=upstream.still_arrives)
    except NotNow:
        _as_leased(row).update(unanswered_at=sent_before)
        raise
    else:
        _note_bought(row, bought, clock())
        _take(row, bought if bought.keys is not None else upstream.order_with_keys(bought.number), clock())


def _heard_no(
    row: SupplierOrder, code: str, sent_before: datetime | None, now: datetime, *, still_arrives: timedelta
) -> None:
    """It counts once nothing can arrive any more that was sent before: that might still be sold."""
    if sent_before is None or now >= sent_before + still_arrives:
        _fail(row, code, now)
        return
    waits = {"unanswered_at": sent_before, "next_at": sent_before + still_arrives}
    _as_leased(row).update(last_error=code, **waits)


def _note_bought(row: SupplierOrder, bought: Bought, now: datetime) -> None:
    """Whoever says it: it is so."""
    said = {"their_number": bought.number, "cost_minor": bought.cost_minor}
    to_send = SupplierOrder.objects.filter(pk=row.pk, status=SupplyStatus.TO_SEND)
    to_send.update(status=SupplyStatus.ASKED, asked_at=now, unanswered_at=None, last_error="", **said)
    row.status, row.their_number = SupplyStatus.ASKED, bought.number


def _is_waited_for(row: SupplierOrder) -> bool:
    """Nobody has filled in any of it, and its money is here."""
    item = OrderItem.objects.select_related("order").get(pk=row.item_id)
    slots = missing_slots(item.order).get(item.pk, [])
    return item.order.status == OrderStatus.PAID and len(slots) == row.quantity


def _look_whether_it_was_bought(row: SupplierOrder, clock: Callable[[], datetime]) -> None:
    """A person has filled it in or refunded it: it is not sent again. Raises NotNow, Unclear."""
    if row.unanswered_at is None:
        _end(row, SupplyStatus.NOT_NEEDED, clock())
        return
    upstream = upstream_of(row.supplier)
    if bought := upstream.find(row.reference):
        _note_bought(row, bought, clock())
        _put_off(row, clock(), pause=timedelta())
    elif clock() >= row.unanswered_at + upstream.still_arrives:
        _end(row, SupplyStatus.NOT_NEEDED, clock())
    else:
        raise NotNow("somebody has seen to it; whether it was bought is not known yet")


# Asked for


def _follow(row: SupplierOrder, clock: Callable[[], datetime]) -> None:
    """Raises NotNow, Unclear."""
    _take(row, upstream_of(row.supplier).order_with_keys(row.their_number), clock())


def _take(row: SupplierOrder, bought: Bought, now: datetime) -> None:
    """What has come of it: the goods, nothing, or nothing yet."""
    keys = bought.keys or ()
    if bought.cost_minor is not None:
        SupplierOrder.objects.filter(pk=row.pk).update(cost_minor=bought.cost_minor)
    if bought.problem:
        _fail(row, bought.problem, now)
    elif len(keys) == row.quantity:
        _hand_on(row, keys, now)
    else:
        if bought.is_final:
            _put_before_person(row, NOT_AS_ORDERED, now)
        _put_off(row, now)


def _hand_on(row: SupplierOrder, keys: Sequence[str], now: datetime) -> None:
    """Fill the line in, unless that is done."""
    order, actor = row.item.order, f"{ACTOR}{row.supplier.name}"
    slots = missing_slots(order).get(row.item_id, [])
    try:
        if len(slots) != row.quantity:
            raise FilledInMeanwhile
        given = {(row.item_id, slot): key for slot, key in zip(slots, keys, strict=True)}
        fill_in(order, given, actor=actor, now=now)
    except FilledInMeanwhile:
        if not _was_handed_on(row):
            _put_before_person(row, LEFT_OVER, now)
            _end(row, SupplyStatus.LEFT_OVER, now)
            return
    except Invalid:
        _put_before_person(row, NOT_AS_ORDERED, now)
        _put_off(row, now, error="a key of it cannot be shown to a buyer")
        return
    _end(row, SupplyStatus.FILLED, now)


def _was_handed_on(row: SupplierOrder) -> bool:
    """By us: an earlier run was broken off between that and writing it down."""
    ours = DeliveredKey.objects.filter(item=row.item_id, card_key__batch__imported_by__startswith=ACTOR)
    return ours.exists()


# Not to be had


def _give_back(row: SupplierOrder, clock: Callable[[], datetime]) -> None:
    """Ask for the buyer's refund, once: with one under way, or the line filled in, there is nothing to do."""
    now = clock()
    item = OrderItem.objects.get(pk=row.item_id)
    untouched = OrderItem.objects.filter(pk=item.pk, status=ItemStatus.OPEN)
    delivered = DeliveredKey.objects.filter(item=item)
    try:
        receipt = money_for(item)
        request_refund(
            receipt,
            amount_minor=min(item.unit_price_minor * item.quantity, refundable_minor(receipt)),
            item=item,
            reason=f"{row.supplier.name}: {row.problem}",
            actor=f"{ACTOR}{row.supplier.name}",
            now=now,
            still=lambda: untouched.exists() and not delivered.exists(),
        )
    except NotRefundable:
        if untouched.exists() and not _is_being_refunded(item):
            _put_before_person(row, NO_REFUND, now)
    SupplierOrder.objects.filter(pk=row.pk, status=SupplyStatus.FAILED).update(next_at=None)


def _is_being_refunded(item: OrderItem) -> bool:
    came_to_nothing = Q(status__in=[RefundStatus.FAILED, RefundStatus.DECLINED])
    return Refund.objects.filter(item=item).exclude(came_to_nothing).exists()


_STEPS: dict[SupplyStatus, Callable[[SupplierOrder, Callable[[], datetime]], None]] = {
    SupplyStatus.TO_SEND: _send,
    SupplyStatus.ASKED: _follow,
    SupplyStatus.FAILED: _give_back,
}


# How a row moves


def _as_leased(row: SupplierOrder) -> QuerySet[SupplierOrder]:
    """Unless somebody has leased it since, or moved it."""
    return SupplierOrder.objects.filter(pk=row.pk, status=row.status, attempts=row.attempts)


def _fail(row: SupplierOrder, why: str, now: datetime) -> None:
    """For good. That its money goes back is promised with it: `next_at`."""
    _as_leased(row).update(
        status=SupplyStatus.FAILED, problem=why, last_error="", unanswered_at=None, next_at=now, ended_at=now
    )
    logger.info("not to be had from the supplier", order=row.reference, why=why)


def _end(row: SupplierOrder, status: SupplyStatus, now: datetime) -> None:
    under_way = SupplierOrder.objects.filter(pk=row.pk, ended_at=None)
    under_way.update(status=status, last_error="", unanswered_at=None, next_at=None, ended_at=now)


def _put_off(row: SupplierOrder, now: datetime, *, error: str = "", pause: timedelta | None = None) -> None:
    """5, 10, 20 … s, and then every five minutes; not beyond the moment by which it was promised."""
    due_at = row.item.due_at
    if pause is None:
        pause = min(FIRST_PAUSE * 2 ** min(row.attempts - 1, 10), LONGEST_PAUSE)
    next_at = now + pause
    if due_at is not None and now < due_at < next_at:
        next_at = due_at
    # With the status as it is by now: it may have been bought in this step.
    leased = SupplierOrder.objects.filter(pk=row.pk, attempts=row.attempts, next_at__isnull=False)
    leased.update(next_at=next_at, last_error=error[:200])
    if due_at is not None and now >= due_at and _may_have_been_bought(row):
        _put_before_person(row, SILENT, now)


def _put_off_all(supplier_id: int, now: datetime) -> None:
    """What is due of a supplier who does not answer: it costs one time-out, and not one for every order."""
    due = SupplierOrder.objects.filter(supplier=supplier_id, next_at__lte=now)
    due.exclude(status=SupplyStatus.FAILED).update(next_at=now + REST)


def _may_have_been_bought(row: SupplierOrder) -> bool:
    return SupplierOrder.objects.filter(
        pk=row.pk, status=SupplyStatus.TO_SEND, unanswered_at__isnull=False
    ).exists()


@transaction.atomic(durable=True)
def _put_before_person(row: SupplierOrder, why: str, now: datetime) -> None:
    """Unless it waits for one for another reason; that it is late says less than this."""
    (orders,) = lock_rows(Order.objects.filter(pk=row.item.order_id, attention__in=["", OVERDUE]))
    for order in orders:
        ask_for_attention(order, why, now=now)
