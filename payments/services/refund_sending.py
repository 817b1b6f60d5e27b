"""Refunds at their providers: sent once, and followed until it is known what came of them.

`sent` is committed before the provider is asked. From then on nobody may suppose that nothing has happened:
the same refund is asked for again only where the provider keeps its number, asked about where it tells, and
otherwise put before a person; so is what comes to no end for hours.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from cardshop.common.locks import lock_rows
from cardshop.outbox.services import Failures, promise
from orders.models import Order
from orders.services.giving_back import finish_giving_back, keep_after_all
from orders.services.transitions import PROVIDER, SYSTEM, note
from payments import signals
from payments.gateways import gateway_for
from payments.gateways.base import (
    Ability,
    Gateway,
    GatewayError,
    GatewayRefused,
    NotAsked,
    RefundRequest,
    RefundState,
    Trade,
)
from payments.metrics import refunds
from payments.models import Payment, Receipt, Refund
from payments.services.refunds import NotRefundable, put_back
from payments.services.topping_up import end_if_all_went_back, lock_account_of
from payments.states import RefundStatus

logger = structlog.get_logger(__name__)

GIVEN_BACK = "money refunded"
AGAIN = "refund sent again"
REFUSED = "the provider refused the refund: see why, then try again or send the money by hand"
UNKNOWN = "nobody knows whether the provider has refunded this: look there, then say so here"
STUCK = "this refund has come to no end for hours: see the last error, and mend the way to pay"
# Longer than a call to a provider with all its time-outs: until then whoever sends it is still at it.
FIRST_LOOK = timedelta(seconds=40)
LONGEST_PAUSE = timedelta(hours=1)
# With the pauses of _look_again: a slow provider has booked within ten minutes what it ever will.
LOOKS_IN_MINUTES = 6
LOOKS_IN_HOURS = 11  # in three and a half of them
NOT_BOOKED = "the provider has not booked it"
RUN_AT_MOST = 50  # refunds that one sweep follows

LEASE = """
    WITH due AS MATERIALIZED (
        SELECT id FROM payments_refund WHERE next_query_at <= %(now)s
        ORDER BY next_query_at, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE payments_refund AS refund SET queries = queries + 1, next_query_at = %(until)s
    FROM due WHERE refund.id = due.id RETURNING refund.id"""


def send_refunds(refund_ids: Sequence[int], now: datetime) -> Failures:
    """Ask the providers to refund; what cannot be asked now is left to the sweep. Returns what went wrong."""
    failed: dict[int, Exception] = {}
    for refund_id in refund_ids:
        try:
            _send(refund_id, now)
        except Exception as error:  # noqa: BLE001  whatever is odd about it keeps no other waiting
            failed[refund_id] = error
    return failed


def _send(refund_id: int, now: datetime) -> None:
    requested = Refund.objects.filter(pk=refund_id, status=RefundStatus.REQUESTED)
    sent = {"status": RefundStatus.SENT, "sent_at": now, "next_query_at": now + FIRST_LOOK}
    is_again = requested.filter(sent_at__isnull=False).update(**sent)
    if not is_again and not requested.filter(sent_at=None).update(**sent):
        return  # sent before; the sweep follows it
    refund = _whole(refund_id)
    try:
        gateway = gateway_for(refund.receipt.channel)
        # It may have been booked since somebody looked there.
        if not (is_again and _found_out(refund, gateway, now)):
            _ask(refund, gateway, now)
    except NotAsked as error:
        _as_seen(refund).update(status=RefundStatus.REQUESTED, sent_at=now if is_again else None)
        _look_again(refund, now, error=str(error))


def follow_refunds(*, clock: Callable[[], datetime]) -> int:
    """Find out about what was sent and is due to be looked at, and send what could not be before; returns how
    many were. Has twins.
    """
    for looked_at in range(RUN_AT_MOST):
        if (refund_id := _lease_one(clock())) is None:
            return looked_at
        refund = _whole(refund_id)
        try:
            if refund.status == RefundStatus.REQUESTED:
                _send(refund_id, clock())
            else:
                _follow(refund, gateway_for(refund.receipt.channel), clock())
        except NotAsked as error:
            _look_again(refund, clock(), error=str(error))
        except Exception as error:  # one odd answer must not end the sweep for everybody else
            logger.exception("following a refund failed", refund=refund.out_refund_no)
            _look_again(refund, clock(), error=type(error).__name__)
    return RUN_AT_MOST


def _ask(refund: Refund, gateway: Gateway, now: datetime) -> None:
    """Once; whatever the provider does with it, or says. Raises NotAsked."""
    try:
        state = gateway.refund(_request(refund))
    except GatewayRefused as no:
        fail(refund, str(no), now=now)
    except NotAsked:
        raise
    except GatewayError as error:
        logger.warning("refund without an answer", refund=refund.out_refund_no, error=str(error))
        _nobody_knows(refund, gateway, str(error), now)
    else:
        _heard(refund, state, now)


def _follow(refund: Refund, gateway: Gateway, now: datetime) -> None:
    if _found_out(refund, gateway, now):
        return
    if Ability.REPEAT_REFUND in gateway.can:
        _ask(refund, gateway, now)
    elif Ability.ASK_REFUND in gateway.can:
        _look_again(refund, now, error=NOT_BOOKED)
        if refund.queries >= LOOKS_IN_MINUTES:
            _put_before_person(refund, UNKNOWN, now)
    else:
        _put_before_person(refund, UNKNOWN, now, next_query_at=None)


def _found_out(refund: Refund, gateway: Gateway, now: datetime) -> bool:
    """Ask about it. False where the provider does not tell, or does not know of it. Raises NotAsked."""
    if Ability.ASK_REFUND not in gateway.can:
        return False
    try:
        state = gateway.ask_refund(_request(refund))
    except NotAsked:
        raise
    except GatewayError as error:
        _look_again(refund, now, error=str(error))
        return True
    if state is not None:
        _heard(refund, state, now)
    return state is not None


def _nobody_knows(refund: Refund, gateway: Gateway, error: str, now: datetime) -> None:
    if gateway.can & {Ability.ASK_REFUND, Ability.REPEAT_REFUND}:
        _look_again(refund, now, error=error)
    else:
        _put_before_person(refund, UNKNOWN, now, last_error=error[:200], next_query_at=None)


def _heard(refund: Refund, state: RefundState, now: datetime) -> None:
    match state:
        case RefundState.DONE:
            finish(refund, actor=PROVIDER, now=now)
        case RefundState.FAILED:
            fail(refund, "it came to nothing", now=now)
        case RefundState.UNDER_WAY:
            _look_again(refund, now)


@transaction.atomic(durable=True)
def finish(refund: Refund, *, actor: str, now: datetime) -> bool:
    """The money is back with the buyer; True only for the caller who found out first."""
    _receipt, order = _lock(refund)
    if not _end(refund, RefundStatus.DONE, now):
        return False
    if order is not None and refund.item is not None:
        finish_giving_back(order, refund.item, actor=actor, now=now)
    elif order is not None:
        note(order, reason=GIVEN_BACK, actor=actor, now=now)
        if order.is_top_up:
            end_if_all_went_back(order, actor=actor, now=now)
    if order is not None:
        promise("payments.mail_refund", [refund.pk], shop_id=refund.shop_id, now=now)
        signals.refunded.send(None, refund=refund, order=order, now=now)
    logger.info("refunded", refund=refund.out_refund_no)
    return True


@transaction.atomic(durable=True)
def fail(refund: Refund, error: str, *, now: datetime, actor: str = PROVIDER) -> bool:
    """No money has moved, and none will; True only for the caller who found out first."""
    account = lock_account_of(refund.receipt)
    receipt, order = _lock(refund)
    if not _end(refund, RefundStatus.FAILED, now, last_error=error[:200], attention=REFUSED):
        return False
    if order is not None and refund.item is not None:
        keep_after_all(order, refund.item, reason=REFUSED, actor=actor, now=now)
    elif order is not None:
        note(order, reason=REFUSED, actor=actor, now=now)
    put_back(refund, receipt, order, account, now=now)
    logger.warning("refund failed", refund=refund.out_refund_no, error=error)
    return True


def _lock(refund: Refund) -> tuple[Receipt, Order | None]:
    payments = [] if refund.payment_id is None else [refund.payment_id]
    _payment, (receipt,), _refund, orders = lock_rows(
        Payment.objects.filter(pk__in=payments),
        Receipt.objects.filter(pk=refund.receipt_id),
        Refund.objects.filter(pk=refund.pk),
        Order.objects.filter(payment__in=payments),
    )
    return receipt, next(iter(orders), None)


def _end(refund: Refund, to: RefundStatus, now: datetime, **changes: object) -> bool:
    sent = Refund.objects.filter(pk=refund.pk, status=RefundStatus.SENT)
    settled = {"status": to, "ended_at": now, "next_query_at": None, "attention": "", **changes}
    if won := sent.update(**settled) == 1:
        transaction.on_commit(lambda: refunds.labels(refund.receipt.channel.slug, to).inc(), robust=True)
    return won


def _look_again(refund: Refund, now: datetime, *, error: str = "") -> None:
    """10, 20, 40 s … up to an hour, for as long as it takes: money is never forgotten. Where there is nothing
    but errors for hours, a person is told; without one the provider is at it, and nobody else needs to be.
    """
    pause = min(timedelta(seconds=10) * 2 ** min(refund.queries, 12), LONGEST_PAUSE)
    heard = {"last_error": error[:200]} if error else {"attention": ""}
    _as_seen(refund).update(next_query_at=now + pause, **heard)
    if error and refund.queries >= LOOKS_IN_HOURS:
        _put_before_person(refund, STUCK, now)


@transaction.atomic(durable=True)
def _put_before_person(refund: Refund, why: str, now: datetime, **changes: object) -> None:
    """Once. That nobody knows whether money has moved says more than that nothing does."""
    _receipt, order = _lock(refund)
    untold = _as_seen(refund).exclude(attention__in=[why, UNKNOWN])
    if untold.update(attention=why, **changes) and order is not None:
        note(order, reason=why, actor=SYSTEM, now=now)


def _as_seen(refund: Refund) -> QuerySet[Refund]:
    """The row, unless it has come to an end, or somebody has looked since, or sent it again."""
    return Refund.objects.filter(
        pk=refund.pk, status__in=[RefundStatus.REQUESTED, RefundStatus.SENT], queries=refund.queries
    )


@transaction.atomic(durable=True)
def send_again(refund: Refund, *, actor: str, now: datetime) -> None:
    """Somebody has looked: the provider has not refunded what nobody knew of. Where it tells, it is asked
    once more before it is sent. Raises NotRefundable when it is known meanwhile.
    """
    _receipt, order = _lock(refund)
    unknown = Refund.objects.filter(pk=refund.pk, status=RefundStatus.SENT, attention=UNKNOWN)
    if not unknown.update(status=RefundStatus.REQUESTED, attention="", next_query_at=None, queries=0):
        raise NotRefundable(_("Somebody has decided about this refund already."))
    if order is not None:
        note(order, reason=AGAIN, actor=actor, now=now)
    promise("payments.send_refunds", [refund.pk], shop_id=refund.shop_id, now=now)


def _request(refund: Refund) -> RefundRequest:
    receipt = refund.receipt
    attempt = receipt.attempt
    return RefundRequest(
        out_refund_no=refund.out_refund_no,
        trade=Trade(
            out_trade_no=attempt.out_trade_no if attempt else "",
            reference=attempt.reference if attempt else "",
            provider_txn_id=receipt.provider_txn_id,
        ),
        paid_minor=receipt.amount_minor,
        amount_minor=refund.amount_minor,
        currency=refund.currency,
        # The buyer may be shown it; why the merchant refunds is the merchant's own.
        reason=attempt.payment.order.number if attempt else refund.out_refund_no,
        requested_at=refund.requested_at,
    )


def _whole(refund_id: int) -> Refund:
    return Refund.objects.select_related(
        "receipt__channel__shop", "receipt__attempt__payment__order", "item"
    ).get(pk=refund_id)


def _lease_one(now: datetime) -> int | None:
    with connection.cursor() as cursor:
        cursor.execute(LEASE, {"now": now, "until": now + FIRST_LOOK})
        row = cursor.fetchone()
    return row[0] if row else None
