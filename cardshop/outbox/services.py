"""Write a promise, lease what is due, close what is done."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from threading import Lock, Timer

import structlog
from celery import current_app
from django.db import connection, transaction
from django.db.models import F

from cardshop.common.tracing import here, work_span
from cardshop.outbox.metrics import failures, kept_seconds
from cardshop.outbox.models import OutboxMessage

logger = structlog.get_logger(__name__)

LEASE = timedelta(seconds=15)
RUN = 10.0  # seconds
FIRST_RETRY = timedelta(seconds=2)
LONGEST_RETRY = timedelta(minutes=10)
MAX_ATTEMPTS = 20  # about two hours and a half with the backoff above
# Seconds. A message costs its sender and its worker a millisecond or two of processor time each, as much
# as a good part of the work that it announces.
ONE_WAKE_UP_IN = 0.25
_QUIET_AFTER_FAILURE = 5.0

_quiet_until = 0.0
_told: dict[tuple[str, float], float] = {}
_telling = Lock()

LEASE_DUE = """
    WITH due AS MATERIALIZED (
        SELECT id FROM outbox_outboxmessage
        WHERE task = %(task)s AND done_at IS NULL AND attention = '' AND due_at <= %(now)s
        ORDER BY due_at, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    )
    UPDATE outbox_outboxmessage AS message
    SET due_at = %(until)s, attempts = attempts + 1
    FROM due WHERE message.id = due.id
    RETURNING message.id, message.subject_id, message.attempts, message.created_at, message.cause"""


class NotReached(Exception):
    """There was no time left for this subject. Nothing is wrong with it: it is due again at once."""


Failures = Mapping[int, Exception]
Work = Callable[[list[int], datetime], Failures | None]


def promise(task: str, subject_ids: Sequence[int], *, shop_id: int, now: datetime) -> None:
    """Write that `task` must be done for each subject, and wake its consumer once this commits."""
    promise_all(task, dict.fromkeys(subject_ids, shop_id), now=now)


def promise_all(task: str, shop_ids: Mapping[int, int], *, now: datetime) -> None:
    """The same for subjects of several shops: `shop_ids` has the shop of each subject."""
    if not shop_ids:
        return
    cause = here()
    OutboxMessage.objects.bulk_create(
        OutboxMessage(shop_id=shop_id, task=task, subject_id=subject, due_at=now, created_at=now, cause=cause)
        for subject, shop_id in shop_ids.items()
    )
    # A lambda: on Django 5.2 `robust` itself crashes when a functools.partial fails (ticket 36487).
    transaction.on_commit(lambda: wake(task), robust=True)


def wake(task: str, *, after: float = 0.0) -> None:
    """Tell the workers that there is work, or will be `after` so many seconds.

    Only a courtesy: the sweep comes every five seconds. So the first wake-up goes out at once, and all
    that follow within ONE_WAKE_UP_IN become a single one at its end: never none, since the worker may
    have looked already. After a failure nobody tries for five seconds, so that a dead broker slows no
    request twice.
    """
    now = time.monotonic()
    wanted = now + after
    with _telling:
        told = _told.get((task, after))
        if told is not None and wanted < told:
            return  # whoever is told then will find this work too
        at = wanted if told is None else max(wanted, told + ONE_WAKE_UP_IN)
        _told[task, after] = at
    if at <= now:
        _send(task)
        return
    later = Timer(at - now, _send, [task])
    later.daemon = True
    later.start()


def _send(task: str) -> None:
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
    work: Work,
    *,
    clock: Callable[[], datetime],
    batch: int,
    lease: timedelta = LEASE,
) -> int:
    """Do what is due for `task`, at least once; returns how many messages were done.

    `work(subject_ids, now)` must be idempotent, and should finish within `lease`, after which
    somebody else does it too. It returns the subjects that failed, each with its error, or None. When
    it raises, the members of the batch are tried one by one, so that one bad row delays nobody else.
    After RUN seconds the rest is left to the next run, so that no task keeps the others of its queue
    waiting for long.
    """
    done, began = 0, time.monotonic()
    while time.monotonic() - began < RUN and (leased := _lease(task, batch, clock(), lease)):
        with work_span(task, [message.cause for message in leased]):
            kept = _attempt(leased, work, task=task, clock=clock)
        done += kept
        if kept == len(leased) < batch:
            break  # that was all; what has come since has a wake-up of its own
    return done


def _lease(task: str, limit: int, now: datetime, lease: timedelta) -> list[OutboxMessage]:
    with connection.cursor() as cursor:
        cursor.execute(LEASE_DUE, {"task": task, "now": now, "until": now + lease, "limit": limit})
        rows = cursor.fetchall()
    return [
        OutboxMessage(id=pk, subject_id=subject, attempts=attempts, created_at=created_at, cause=cause)
        for pk, subject, attempts, created_at, cause in rows
    ]


def _attempt(
    messages: list[OutboxMessage],
    work: Work,
    *,
    task: str,
    clock: Callable[[], datetime],
) -> int:
    try:
        failed = work([message.subject_id for message in messages], clock()) or {}
    except Exception as error:  # noqa: BLE001  a sweep: whatever it was, log it and go on
        if len(messages) > 1:
            logger.warning("batch failed", task=task, size=len(messages), error=type(error).__name__)
            return sum(_attempt([message], work, task=task, clock=clock) for message in messages)
        failed = {messages[0].subject_id: error}
    now = clock()
    done = [message for message in messages if message.subject_id not in failed]
    OutboxMessage.objects.filter(pk__in=[message.pk for message in done], done_at=None).update(done_at=now)
    for message in done:
        kept_seconds.labels(task).observe((now - message.created_at).total_seconds())
    if failed:
        _put_off(messages, failed, task=task, now=now)
    return len(done)


def _put_off(messages: list[OutboxMessage], failed: Failures, *, task: str, now: datetime) -> None:
    not_reached = []
    for message in messages:
        error = failed.get(message.subject_id)
        if isinstance(error, NotReached):
            not_reached.append(message.pk)
        elif error is not None:
            _try_later(message, error, task=task, now=now)
    if not_reached:
        OutboxMessage.objects.filter(pk__in=not_reached, done_at=None).update(
            due_at=now, attempts=F("attempts") - 1
        )
        wake(task)  # somebody else may have more time


def _try_later(message: OutboxMessage, error: Exception, *, task: str, now: datetime) -> None:
    tired = message.attempts >= MAX_ATTEMPTS
    wait = min(FIRST_RETRY * 2 ** min(message.attempts - 1, 16), LONGEST_RETRY)
    OutboxMessage.objects.filter(pk=message.pk, done_at=None).update(
        due_at=now + wait,
        attention=f"{type(error).__name__} after {message.attempts} attempts" if tired else "",
    )
    failures.labels(task, "gave_up" if tired else "failed").inc()
    logger.error(
        "task failed",
        task=task,
        subject=message.subject_id,
        attempts=message.attempts,
        tired=tired,
        exc_info=error,
    )


def due_tasks(now: datetime) -> list[str]:
    """The tasks that have something due."""
    open_ones = OutboxMessage.objects.filter(done_at=None, attention="", due_at__lte=now)
    return sorted(open_ones.values_list("task", flat=True).distinct())
