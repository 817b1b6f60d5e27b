"""How an unpaid order ends: `closing` first, then its trades are called off, then expired or cancelled."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import structlog
from django.db import DatabaseError, transaction

from cardshop.common.locks import lock_rows
from cardshop.outbox.services import Failures, NotReached, promise_all
from orders.models import Order
from orders.services.holds import release_holds
from orders.services.transitions import SYSTEM, transition_all
from orders.states import OrderStatus
from payments.gateways.base import GatewayError
from payments.models import Payment, PaymentAttempt, Receipt
from payments.services.asking import Round, slow_ones_last
from payments.services.calling_off import call_off
from payments.services.evidence import settle_receipts
from payments.states import PaymentStatus, ReceiptStatus, Source

logger = structlog.get_logger(__name__)

ASK_FOR = timedelta(seconds=30)
# Seconds for each channel. No order that was asked about waits longer for the others of its channel.
ASKING = 0.25
AT_ONCE = 100  # orders that begin to close in one transaction


def close_due_orders(now: datetime, *, limit: int = 500) -> int:
    """Begin to close what is past its deadline; returns how many. Safe beside any number of twins."""
    due = Order.objects.filter(status=OrderStatus.PENDING, reserved_until__lte=now)
    ids = list(due.order_by("reserved_until").values_list("pk", flat=True)[:limit])
    begun = 0
    for at in range(0, len(ids), AT_ONCE):
        begun += _begin_closing_due(ids[at : at + AT_ONCE], now)
    return begun


def _begin_closing_due(ids: list[int], now: datetime) -> int:
    try:
        return _begin_closing_all(ids, now)
    except DatabaseError:
        if len(ids) == 1:
            logger.exception("could not begin to close", order=ids[0])
            return 0
        # A row that somebody holds for too long must not keep those behind it waiting.
        return sum(_begin_closing_due([order_id], now) for order_id in ids)


@transaction.atomic(durable=True)
def _begin_closing_all(ids: list[int], now: datetime) -> int:
    (orders,) = lock_rows(
        Order.objects.filter(pk__in=ids, status=OrderStatus.PENDING, reserved_until__lte=now)
    )
    return _begin(orders, OrderStatus.EXPIRED, reason="not paid in time", actor=SYSTEM, now=now)


@transaction.atomic(durable=True)
def begin_closing(order: Order, to: str, *, reason: str, actor: str, now: datetime) -> bool:
    """`pending → closing`, on the way to `to`; True only for the caller who moved it."""
    if order.status != OrderStatus.PENDING:
        return False
    return _begin([order], to, reason=reason, actor=actor, now=now) == 1


def _begin(orders: list[Order], to: str, *, reason: str, actor: str, now: datetime) -> int:
    moved = transition_all(
        orders,
        OrderStatus.CLOSING,
        reason=reason,
        actor=actor,
        now=now,
        closing_to=to,
        closing_since=now,
    )
    if moved:
        promise_all("payments.finish_closing", {order.pk: order.shop_id for order in orders}, now=now)
    return moved


def finish_closing(order_ids: Sequence[int], now: datetime, *, silent: set[int] | None = None) -> Failures:
    """Call every attempt off at its provider, then end the orders unpaid, or leave them paid.

    Returns those that failed because a provider does not answer, for at most ASK_FOR: the outbox comes
    again. After that the hold is released all the same, and later money is late money. What a channel
    has no time left for, within ASKING, is not reached; `silent` is as in Round. Where there is nobody
    to ask, orders end together.
    """
    orders = list(Order.objects.filter(pk__in=order_ids, status=OrderStatus.CLOSING).order_by("pk"))
    to_ask = _attempts_to_ask_about(orders, now)
    failed: dict[int, Exception] = {}
    questions = Round(seconds=ASKING, silent=silent)
    for together in slow_ones_last(orders, lambda order: {each.channel_id for each in to_ask[order.pk]}):
        failed |= _end(together, to_ask, questions, now)
    return failed


def _end(
    orders: Sequence[Order], to_ask: Mapping[int, list[PaymentAttempt]], questions: Round, now: datetime
) -> dict[int, Exception]:
    failed: dict[int, Exception] = {}
    for order in orders:
        try:
            _ask_about(to_ask[order.pk], questions, now)
        except Exception as error:  # noqa: BLE001  whatever is odd about it keeps no other waiting
            failed[order.pk] = error
    left = [order.pk for order in orders if order.pk not in failed]
    while left := _end_unpaid(left, now):
        _settle_recorded(left, now)
    return failed


def _attempts_to_ask_about(orders: Sequence[Order], now: datetime) -> Mapping[int, list[PaymentAttempt]]:
    """By order, also where there are none; what has been asked about for long enough is left out."""
    waited = {order for order in orders if order.closing_since and now >= order.closing_since + ASK_FOR}
    if waited:
        logger.warning("closed without asking the provider again", orders=[o.number for o in waited])
    attempts: dict[int, list[PaymentAttempt]] = defaultdict(list)
    polled = PaymentAttempt.objects.filter(
        payment__order__in=set(orders) - waited, next_query_at__isnull=False
    )
    for attempt in polled.select_related("channel", "payment__order").order_by("pk"):
        attempts[attempt.payment.order_id].append(attempt)
    return attempts


def _ask_about(attempts: Sequence[PaymentAttempt], questions: Round, now: datetime) -> None:
    """Raises GatewayError, NotReached."""
    unanswered: GatewayError | NotReached | None = None
    for attempt in attempts:
        try:
            with questions.asking(attempt.channel):
                call_off(attempt, source=Source.CLOSING, now=now)
        except (GatewayError, NotReached) as error:
            unanswered = error  # the next channel may know of money all the same
    if unanswered:
        raise unanswered


def _settle_recorded(order_ids: Sequence[int], now: datetime) -> None:
    recorded = Receipt.objects.filter(
        attempt__payment__order__in=order_ids, status=ReceiptStatus.RECORDED
    ).values_list("pk", flat=True)
    for error in settle_receipts(list(recorded), now).values():
        raise error


@transaction.atomic(durable=True)
def _end_unpaid(order_ids: Sequence[int], now: datetime) -> list[int]:
    """Under the Payments' locks with no money waiting to be settled: they cannot be paid meanwhile.

    Returns those for which money was recorded a moment ago: settle that first, it may be all or a part.
    """
    orders: list[Order]
    _payments, orders = lock_rows(
        Payment.objects.filter(order__in=order_ids), Order.objects.filter(pk__in=order_ids)
    )
    closing = [order for order in orders if order.status == OrderStatus.CLOSING]
    unsettled = set(
        Receipt.objects.filter(
            attempt__payment__order__in=closing, status=ReceiptStatus.RECORDED
        ).values_list("attempt__payment__order", flat=True)
    )
    unpaid = [order for order in closing if order.pk not in unsettled]
    Payment.objects.filter(order__in=unpaid).update(status=PaymentStatus.CANCELLED)
    for to in sorted({order.closing_to for order in unpaid}):
        ending = [order for order in unpaid if order.closing_to == to]
        transition_all(ending, to, reason="no money came", actor=SYSTEM, now=now)
    release_holds(unpaid)  # last: every buyer of these variants waits for the Stock rows
    return sorted(unsettled)
