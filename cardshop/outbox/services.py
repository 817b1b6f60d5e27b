"""Write a promise, lease what is due, close what is done."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog
from celery import current_app
from django.db import connection, transaction

from cardshop.outbox.models import OutboxMessage

logger = structlog.get_logger(__name__)

LEASE = timedelta(seconds=15)
RUN = 10.0  # seconds
FIRST_RETRY = timedelta(seconds=2)
LONGEST_RETRY = timedelta(minutes=10)
MAX_ATTEMPTS = 20  # about two hours and a half with the backoff above
_QUIET_AFTER_FAILURE = 5.0

_quiet_until = 0.0

LEASE_DUE = """
    WITH due AS MATERIALIZED (
        SELECT id FROM outbox_outboxmessage
        WHERE task = %(task)s AND done_at IS NULL AND attention = '' AND due_at <= %(now)s
        ORDER BY due_at, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    )
    UPDATE outbox_outboxmessage AS message
    SET due_at = %(until)s, attempts = attempts + 1
    FROM due WHERE message.id = due.id
    RETURNING message.id, message.subject_id, message.attempts"""


def promise(task: str, subject_ids: Sequence[int], *, shop_id: int, now: datetime) -> None:
    """Write that `task` must be done for each subject, and wake its consumer once this commits."""
    OutboxMessage.objects.bulk_create(
        OutboxMessage(shop_id=shop_id, task=task, subject_id=subject, due_at=now, created_at=now)
        for subject in subject_ids
    )
    # A lambda: on Django 5.2 `robust` itself crashes when a functools.partial fails (ticket 36487).
    transaction.on_commit(lambda: wake(task), robust=True)


def wake(task: str) -> None:
    """Tell the workers that there is work. Only a courtesy: the sweep comes every five seconds.

    After a failure nobody tries for five seconds, so that a dead broker slows no request twice.
    """
    global _quiet_until
    if time.monotonic() < _quiet_until:
        return
    try:
        current_app.send_task(task, ignore_result=True)
    except Exception as error:  # noqa: BLE001  kombu raises whatever its transport raises
        _quiet_until = time.monotonic() + _QUIET_AFTER_FAILURE
        logger.warning("broker unavailable", task=task, error=type(error).__name__)


def drain(
    task: str,
    work: Callable[[list[int], datetime], None],
    *,
    clock: Callable[[], datetime],
    batch: int,
    lease: timedelta = LEASE,
) -> int:
    """Do what is due for `task`, at least once; returns how many messages were done.

    `work(subject_ids, now)` must be idempotent, and should finish within `lease`, after which
    somebody else does it too. When a batch fails, its members are tried one by one, so that one bad
    row delays nobody else. After RUN seconds the rest is left to the next run, so that no task keeps
    the others of its queue waiting for long.
    """
    done, began = 0, time.monotonic()
    while time.monotonic() - began < RUN and (leased := _lease(task, batch, clock(), lease)):
        done += _attempt(leased, work, task=task, clock=clock)
    return done


def _lease(task: str, limit: int, now: datetime, lease: timedelta) -> list[OutboxMessage]:
    with connection.cursor() as cursor:
        cursor.execute(LEASE_DUE, {"task": task, "now": now, "until": now + lease, "limit": limit})
        rows = cursor.fetchall()
    return [OutboxMessage(id=pk, subject_id=subject, attempts=attempts) for pk, subject, attempts in rows]


def _attempt(
    messages: list[OutboxMessage],
    work: Callable[[list[int], datetime], None],
    *,
    task: str,
    clock: Callable[[], datetime],
) -> int:
    try:
        work([message.subject_id for message in messages], clock())
    except Exception as error:  # noqa: BLE001  a sweep: whatever it was, log it and go on
        if len(messages) > 1:
            logger.warning("batch failed", task=task, size=len(messages), error=type(error).__name__)
            return sum(_attempt([message], work, task=task, clock=clock) for message in messages)
        _put_off(messages[0], error, task=task, now=clock())
        return 0
    ids = [message.pk for message in messages]
    OutboxMessage.objects.filter(pk__in=ids, done_at=None).update(done_at=clock())
    return len(messages)


def _put_off(message: OutboxMessage, error: Exception, *, task: str, now: datetime) -> None:
    tired = message.attempts >= MAX_ATTEMPTS
    wait = min(FIRST_RETRY * 2 ** min(message.attempts - 1, 16), LONGEST_RETRY)
    OutboxMessage.objects.filter(pk=message.pk, done_at=None).update(
        due_at=now + wait,
        attention=f"{type(error).__name__} after {message.attempts} attempts" if tired else "",
    )
    logger.exception(
        "task failed", task=task, subject=message.subject_id, attempts=message.attempts, tired=tired
    )


def due_tasks(now: datetime) -> list[str]:
    """The tasks that have something due."""
    open_ones = OutboxMessage.objects.filter(done_at=None, attention="", due_at__lte=now)
    return sorted(open_ones.values_list("task", flat=True).distinct())
