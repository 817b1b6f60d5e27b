"""Calling an attempt off: its provider shall take no money for it any more."""

from collections.abc import Sequence
from datetime import datetime

import structlog

from cardshop.outbox.services import Failures
from payments.gateways import gateway_for
from payments.gateways.base import Ability, GatewayRefused
from payments.models import PaymentAttempt
from payments.services.asking import Round
from payments.services.attempts import just_begun
from payments.services.polling import ask_provider, trade_of
from payments.states import AttemptStatus, PaymentStatus

logger = structlog.get_logger(__name__)


def call_off(attempt: PaymentAttempt, *, source: str, now: datetime) -> None:
    """Close the trade at its provider, or where that cannot be done, ask whether it was paid, and apply the
    answer. What is closed need not be asked about any more. Raises GatewayError.
    """
    gateway = gateway_for(attempt.channel)
    if Ability.CLOSE in gateway.can:
        try:
            if gateway.close(trade_of(attempt)):
                _closed(attempt)
                return
        except GatewayRefused:
            logger.info("too late to close", attempt=attempt.out_trade_no)
    ask_provider(attempt, source=source, now=now)


def call_off_attempts(
    attempt_ids: Sequence[int], now: datetime, *, source: str, silent: set[int] | None = None
) -> Failures:
    """The same for attempts that nobody needs any more. Returns those that failed; repeating is a no-op.

    While the order is unpaid, one that its buyer has pressed for again meanwhile is left alone.
    """
    failed: dict[int, Exception] = {}
    questions = Round(silent=silent)
    begun = PaymentAttempt.objects.filter(pk__in=attempt_ids, next_query_at__isnull=False)
    needed = just_begun(begun.filter(payment__status=PaymentStatus.OPEN), now)
    left = begun.exclude(pk__in=needed.values("pk"))
    for attempt in left.select_related("channel", "payment__order").order_by("pk"):
        try:
            with questions.asking(attempt.channel):
                call_off(attempt, source=source, now=now)
        except Exception as error:  # noqa: BLE001  whatever is odd about it keeps no other waiting
            failed[attempt.pk] = error
    return failed


def _closed(attempt: PaymentAttempt) -> None:
    """Unless money was recorded meanwhile, told by a notice that went before."""
    unpaid = PaymentAttempt.objects.filter(pk=attempt.pk).exclude(status=AttemptStatus.SUCCEEDED)
    unpaid.update(status=AttemptStatus.CLOSED, next_query_at=None)
