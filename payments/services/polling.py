"""Asking the provider: nothing depends on a notice arriving."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from django.db import connection

from cardshop.outbox.services import wake
from orders.states import OrderStatus
from payments.gateways import gateway_for
from payments.gateways.base import GatewayError, Trade
from payments.models import PaymentAttempt
from payments.services.asking import Round
from payments.services.evidence import apply_evidence
from payments.states import Source

logger = structlog.get_logger(__name__)

FIRST_QUERY_AFTER = timedelta(seconds=5)
# Provider and buyer are told of the payment in the same moment, and asking costs as much as a notice does.
NOTICE_GOES_FIRST = timedelta(seconds=2)
RUN = 10.0  # seconds
EAGER_QUERIES = 8
LONGEST_PAUSE = timedelta(seconds=60)
AFTER_DEADLINE = timedelta(minutes=15)
HOURLY_UNTIL = timedelta(hours=24)

LEASE_ONE = """
    WITH due AS MATERIALIZED (
        SELECT id FROM payments_paymentattempt WHERE next_query_at <= %(now)s
        ORDER BY next_query_at, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE payments_paymentattempt AS attempt
    SET queries = queries + 1, next_query_at = %(now)s + interval '15 seconds'
    FROM due WHERE attempt.id = due.id RETURNING attempt.id"""


def poll_due_attempts(*, clock: Callable[[], datetime]) -> int:
    """Ask about the attempts that are due, for RUN seconds; returns how many were looked at.

    Each is leased before the network is touched, so pollers share the work and a crash is a retry. They
    are the questions of one Round.
    """
    looked_at, began = 0, time.monotonic()
    questions = Round()
    while time.monotonic() - began < RUN and (attempt := _lease_one(clock())) is not None:
        if not questions.leaves_alone(attempt.channel_id):
            try:
                with questions.asking(attempt.channel):
                    ask_provider(attempt, source=Source.POLL, now=clock())
            except GatewayError as error:
                logger.warning("query failed", channel=attempt.channel.slug, error=str(error))
            except Exception:  # one odd answer must not end the sweep for everybody else
                logger.exception("query failed", attempt=attempt.out_trade_no)
        schedule_next_query(attempt, clock())
        looked_at += 1
    return looked_at


def ask_provider(attempt: PaymentAttempt, *, source: str, now: datetime) -> bool:
    """Query one attempt and apply the answer; True if it was paid. Raises GatewayError."""
    evidence = gateway_for(attempt.channel).query(trade_of(attempt))
    if evidence is None:
        return False
    return apply_evidence(attempt.channel, evidence, source=source, now=now) is not None


def trade_of(attempt: PaymentAttempt) -> Trade:
    """How the provider is asked about it. Wanted as long as its order may still be paid."""
    wanted = attempt.payment.order.status == OrderStatus.PENDING
    return Trade(out_trade_no=attempt.out_trade_no, reference=attempt.reference, wanted=wanted)


def schedule_next_query(attempt: PaymentAttempt, now: datetime) -> None:
    """5, 10, 20, 40, 60, 60 … s until a quarter of an hour after the deadline, then hourly for a day."""
    deadline = attempt.payment.order.reserved_until
    if now < deadline + AFTER_DEADLINE:
        pause = min(FIRST_QUERY_AFTER * 2 ** min(attempt.queries, 10), LONGEST_PAUSE)
        next_query_at: datetime | None = now + pause
    elif now < deadline + HOURLY_UNTIL:
        next_query_at = now + timedelta(hours=1)
    else:
        next_query_at = None
    # Settled meanwhile, it has been taken off the list and must not come back.
    PaymentAttempt.objects.filter(pk=attempt.pk, next_query_at__isnull=False).update(
        next_query_at=next_query_at
    )


def ask_now(attempt: PaymentAttempt, now: datetime) -> None:
    """A merchant wants to know: let the next poll be now, if it is still polled."""
    PaymentAttempt.objects.filter(pk=attempt.pk, next_query_at__isnull=False).update(next_query_at=now)


def ask_soon(attempt_id: int, now: datetime) -> None:
    """The buyer has come back from the provider: ask in NOTICE_GOES_FIRST instead of at the next turn.

    Nothing happens when there is nothing to ask, or the provider was asked often enough: whoever knows
    the return address could otherwise make the shop ask without end.
    """
    at = now + NOTICE_GOES_FIRST
    eager = PaymentAttempt.objects.filter(pk=attempt_id, next_query_at__gt=at, queries__lt=EAGER_QUERIES)
    if eager.update(next_query_at=at):
        wake("payments.poll_attempts", after=NOTICE_GOES_FIRST.total_seconds())


def _lease_one(now: datetime) -> PaymentAttempt | None:
    with connection.cursor() as cursor:
        cursor.execute(LEASE_ONE, {"now": now})
        row = cursor.fetchone()
    if row is None:
        return None
    return PaymentAttempt.objects.select_related("channel__shop", "payment__order").get(pk=row[0])
