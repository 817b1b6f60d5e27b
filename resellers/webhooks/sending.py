"""Sends what is due, each delivery at least once, and no endpoint at the cost of another.

An endpoint has at most PER_ENDPOINT calls in flight, wherever they were begun, and one while it fails. One
process calls many at a time, and those that fail take at most a part of that: so who answers is told at
once, however many others never do. A call that hangs outlives the run of the task that began it; the next
run hears of its end.
"""

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from functools import cache
from threading import Lock

import structlog
from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from cardshop.outbox.services import wake
from resellers.events.emitting import SEND
from resellers.metrics import webhooks
from resellers.models import WebhookDelivery, WebhookEndpoint
from resellers.webhooks.calls import Outcome, call

logger = structlog.get_logger(__name__)

PER_ENDPOINT = 4
AT_ONCE = 32  # calls of a process
OF_FAILING = 16  # of them, to endpoints that fail
RUN = 10.0  # seconds
LOOK_AGAIN = 0.25  # seconds, while calls are in flight
# A call with its time-outs, and that of a resolver, which nobody can shorten.
LEASE = timedelta(seconds=60)
# After each try that failed: three days altogether, and then it is given up.
PAUSES = [
    timedelta(seconds=seconds)
    for seconds in (
        10,
        30,
        120,
        600,
        1800,
        3600,
        3 * 3600,
        6 * 3600,
        12 * 3600,
        12 * 3600,
        12 * 3600,
        24 * 3600,
    )
]
JITTER = 0.2  # of a pause, either way: what failed together is not tried together for ever
PAUSE_AFTER = timedelta(days=3)
LONGEST_REST = timedelta(minutes=5)
FAILED_FOR_DAYS = "no call has succeeded for three days"

LEASE_DUE = """
    WITH due AS MATERIALIZED (
        SELECT id FROM resellers_webhookdelivery
        WHERE endpoint_id = %(endpoint)s AND next_at <= %(now)s
        ORDER BY next_at, id LIMIT %(room)s FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE resellers_webhookdelivery AS delivery
    SET next_at = %(until)s, leased_until = %(until)s, attempts = attempts + 1
    FROM due WHERE delivery.id = due.id
    RETURNING delivery.id"""

Calls = dict["Future[Outcome]", WebhookDelivery]
_in_flight: Calls = {}
_at_it = Lock()


def send_due(*, clock: Callable[[], datetime]) -> int:
    """Send what is due until nothing is, or for RUN seconds; returns how many calls ended.

    One run at a time in a process: who comes meanwhile leaves it to the other, which looks again and again.
    """
    if not _at_it.acquire(blocking=False):
        return 0
    try:
        return _send(clock, _in_flight)
    finally:
        _at_it.release()


def _send(clock: Callable[[], datetime], in_flight: Calls) -> int:
    ended, until = 0, time.monotonic() + RUN
    while time.monotonic() < until:
        for delivery in _claim_due(clock(), in_flight):
            in_flight[_threads().submit(call, delivery)] = delivery
        if not in_flight:
            return ended
        done, _hanging = wait(in_flight, LOOK_AGAIN, return_when=FIRST_COMPLETED)
        for future in done:
            _note(in_flight.pop(future), future, clock())
        ended += len(done)
    wake(SEND)
    return ended


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhook")


def _claim_due(now: datetime, in_flight: Calls) -> Iterator[WebhookDelivery]:
    """As many as there are threads for. Who was served longest ago comes first."""
    room = AT_ONCE - len(in_flight)
    room_of_failing = OF_FAILING - sum(delivery.endpoint.failures > 0 for delivery in in_flight.values())
    due = WebhookDelivery.objects.filter(endpoint=OuterRef("pk"), next_at__lte=now)
    waiting = (
        WebhookEndpoint.objects.filter(Exists(due), is_active=True, paused_at=None)
        .filter(Q(rests_until=None) | Q(rests_until__lte=now))
        .exclude(reseller__is_suspended=True)
        .order_by(F("served_at").asc(nulls_first=True), "pk")
    )
    if room <= 0:
        return
    for pk, failures in waiting.values_list("pk", "failures"):
        may_have = min(room, room_of_failing) if failures else room
        if may_have <= 0:
            continue
        claimed = claim(pk, now=now, room=may_have)
        room -= len(claimed)
        room_of_failing -= sum(delivery.endpoint.failures > 0 for delivery in claimed)
        yield from claimed


@transaction.atomic(durable=True)
def claim(endpoint_id: int, *, now: datetime, room: int) -> list[WebhookDelivery]:
    """Lease what is due of one endpoint, as much as it may have in flight besides what it has.

    The endpoint is locked first, and its leases are counted by a later statement: so nobody counts what
    somebody else is just adding to. Whoever finds it locked leaves it to the other.
    """
    rows = WebhookEndpoint.objects.filter(pk=endpoint_id, is_active=True, paused_at=None)
    endpoint = rows.select_for_update(skip_locked=True, no_key=True).first()
    if endpoint is None:
        return []
    leased = WebhookDelivery.objects.filter(endpoint=endpoint, leased_until__gt=now).count()
    may_have = (1 if endpoint.failures else PER_ENDPOINT) - leased
    if may_have <= 0:
        return []
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(served_at=now)
    return _lease(endpoint, now, min(may_have, room))


def _lease(endpoint: WebhookEndpoint, now: datetime, room: int) -> list[WebhookDelivery]:
    with connection.cursor() as cursor:
        cursor.execute(LEASE_DUE, {"endpoint": endpoint.pk, "now": now, "until": now + LEASE, "room": room})
        ids = [pk for (pk,) in cursor.fetchall()]
    deliveries = WebhookDelivery.objects.filter(pk__in=ids).select_related("endpoint", "event")
    return list(deliveries.order_by("pk"))


def _note(delivery: WebhookDelivery, future: "Future[Outcome]", now: datetime) -> None:
    error = future.exception()
    if error is not None:
        logger.error("webhook not called", delivery=str(delivery.uid), exc_info=error)
    note(delivery, Outcome(error=type(error).__name__) if error else future.result(), now=now)


@transaction.atomic(durable=True)
def note(delivery: WebhookDelivery, outcome: Outcome, *, now: datetime) -> None:
    """What came of a call: it is done, or due again, or given up; and how it is with its endpoint.

    A failure is believed of the try that was leased last only. That it has arrived is so whoever says it.
    """
    endpoint = WebhookEndpoint.objects.filter(pk=delivery.endpoint_id)
    undelivered = WebhookDelivery.objects.filter(pk=delivery.pk, delivered_at=None)
    said = {"last_status": outcome.status, "last_error": outcome.error, "response": outcome.response}
    if outcome.is_delivered:
        endpoint.update(failing_since=None, failures=0, rests_until=None)
        undelivered.update(delivered_at=now, next_at=None, leased_until=None, gave_up_at=None, **said)
        _count("delivered")
        return
    _note_failure(endpoint, delivery.endpoint.failures, now)
    gives_up = delivery.attempts > len(PAUSES)
    ended = {"next_at": None, "gave_up_at": now} if gives_up else {"next_at": now + _pause(delivery.attempts)}
    undelivered.filter(attempts=delivery.attempts).update(leased_until=None, **ended, **said)
    _count("gave_up" if gives_up else "failed")


def _note_failure(endpoint: QuerySet[WebhookEndpoint], failures: int, now: datetime) -> None:
    """It rests, the longer the more often it has failed; when it has for days, until a person resumes it."""
    rest = min(timedelta(seconds=2) * 2 ** min(failures, 10), LONGEST_REST)
    endpoint.update(
        failing_since=Coalesce("failing_since", now), failures=F("failures") + 1, rests_until=now + rest
    )
    failed_for_days = endpoint.filter(paused_at=None, failing_since__lte=now - PAUSE_AFTER)
    failed_for_days.update(paused_at=now, paused_because=FAILED_FOR_DAYS)


def _count(outcome: str) -> None:
    transaction.on_commit(lambda: webhooks.labels(outcome).inc(), robust=True)


def _pause(attempts: int) -> timedelta:
    return PAUSES[attempts - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
