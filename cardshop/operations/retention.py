"""Forgetting what need not be known any more: bit by bit, and gone on with by whoever comes next."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from axes.models import AccessAttempt, AccessLog
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import QuerySet

from cardshop.audit.retention import RETENTIONS as OF_AUDIT
from cardshop.common.retention import Retention, delete, in_batches
from cardshop.outbox.retention import RETENTIONS as OF_OUTBOX
from orders.services.retention import RETENTIONS as OF_ORDERS
from payments.services.retention import RETENTIONS as OF_PAYMENTS
from resellers.retention import RETENTIONS as OF_RESELLERS

logger = structlog.get_logger(__name__)

RUN = 20.0  # seconds


def _sessions(moment: datetime) -> QuerySet[Session]:
    return Session.objects.filter(expire_date__lt=moment)


def _log_ins(moment: datetime) -> Any:
    return AccessLog.objects.filter(attempt_time__lt=moment)


def _failed_log_ins(moment: datetime) -> Any:
    return AccessAttempt.objects.filter(attempt_time__lt=moment)


RETENTIONS = [
    *OF_PAYMENTS,
    *OF_ORDERS,
    *OF_OUTBOX,
    *OF_AUDIT,
    *OF_RESELLERS,
    Retention("sessions of staff that have ended", "RETAIN_LOG_INS_DAYS", _sessions, delete),
    Retention("log-ins of staff", "RETAIN_LOG_INS_DAYS", _log_ins, delete),
    Retention("log-ins that failed", "RETAIN_LOG_INS_DAYS", _failed_log_ins, delete),
]


@dataclass(frozen=True)
class Due:
    """Rows of one rule that were over before `moment`."""

    retention: Retention
    moment: datetime

    @property
    def rows(self) -> QuerySet[Any]:
        return self.retention.find(self.moment)


def due(now: datetime) -> Iterator[Due]:
    """All rules but those by which things are kept for ever."""
    for retention in RETENTIONS:
        if days := getattr(settings, retention.setting):
            yield Due(retention, now - timedelta(days=days))


def prune(now: datetime, *, run: float = RUN, clock: Callable[[], float] = time.monotonic) -> dict[str, int]:
    """Forget what is due, for `run` seconds; returns by rule how many rows.

    Each batch is a transaction. Two at once wait for each other's batches, and do each row once. A rule that
    fails keeps no other from being followed: afterwards an ExceptionGroup of what failed is raised.
    """
    until = clock() + run
    forgotten: dict[str, int] = {}
    failures = []
    for each in due(now):
        try:
            for batch in in_batches(each.rows):
                with transaction.atomic():
                    count = each.retention.forget(batch)
                forgotten[each.retention.name] = forgotten.get(each.retention.name, 0) + count
                if clock() >= until:
                    break
        except Exception as error:  # noqa: BLE001  whatever it is, the others go on
            failures.append(error)
    if forgotten:
        logger.info("forgotten", rows=sum(forgotten.values()))
    if failures:
        raise ExceptionGroup("some rules of retention failed", failures)
    return forgotten
