"""A driver behind breakers and a bulkhead: who does not answer is not asked for a while, and who answers
slowly holds a part of a process's threads.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import date, datetime
from threading import BoundedSemaphore

from django.conf import settings
from opentelemetry.trace import SpanKind

from cardshop.common.deadline import within
from cardshop.common.tracing import span
from cardshop.traffic.breakers import Breaker, BreakerOpen
from cardshop.traffic.bulkheads import NoPlace, bulkhead_of
from payments.gateways.base import (
    Evidence,
    Gateway,
    GatewayError,
    GatewayRefused,
    NotAsked,
    Notice,
    PayPage,
    PayRequest,
    RawCall,
    RefundEvidence,
    RefundRequest,
    RefundState,
    Trade,
    Unreachable,
)
from payments.metrics import provider_calls, provider_seconds

OPERATIONS = ("create", "query", "close", "refund", "login")
COUNTER_PLACES = 6  # of the web's eight threads; no slow channel alone holds more than four, soon two
COUNTER_PATIENCE = 1.0
_COUNTER = BoundedSemaphore(COUNTER_PLACES)


def breaker_of(name: str, operation: str) -> Breaker:
    return Breaker(f"{name}:{operation}", failures=GatewayError, no_answer=Unreachable)


class GuardedGateway:
    """Raises NotAsked where a breaker is open, or the channel has no place left in this process. Only
    technical failures of the provider count: a clear no is an answer, and a call that was not made is none.

    What stands behind a breaker ends within PROVIDER_TOTAL_TIMEOUT, however many calls it makes. `trades` and
    `statement` do not: only each of their calls has an end of its own.
    """

    def __init__(self, gateway: Gateway, *, name: str, slug: str) -> None:
        self._gateway, self._name, self._slug = gateway, name, slug
        self.notice_is_proof = gateway.notice_is_proof
        self.list_is_proof = gateway.list_is_proof
        self.acknowledgement = gateway.acknowledgement
        self.can = gateway.can

    def create(self, wanted: PayRequest) -> PayPage:
        with self._guarded("create", at_the_counter=True):
            return self._gateway.create(wanted)

    def query(self, trade: Trade) -> Evidence | None:
        with self._guarded("query"):
            return self._gateway.query(trade)

    def close(self, trade: Trade) -> bool:
        with self._guarded("close"):
            return self._gateway.close(trade)

    def refund(self, wanted: RefundRequest) -> RefundState:
        with self._guarded("refund"):
            return self._gateway.refund(wanted)

    def ask_refund(self, wanted: RefundRequest) -> RefundState | None:
        with self._guarded("query"):
            return self._gateway.ask_refund(wanted)

    def read_notice(self, call: RawCall, *, at: datetime) -> Notice:
        return self._gateway.read_notice(call, at=at)

    # Asked by people and once a day: they would rather wait than not know.

    def trades(self) -> Iterator[Evidence]:
        return self._gateway.trades()

    def statement(self, day: date) -> Iterator[Evidence | RefundEvidence]:
        return self._gateway.statement(day)

    def _guarded(self, operation: str, *, at_the_counter: bool = False) -> AbstractContextManager[None]:
        return guard(self._name, operation, slug=self._slug, at_the_counter=at_the_counter)


@contextmanager
def guard(name: str, operation: str, *, slug: str, at_the_counter: bool = False) -> Iterator[None]:
    """Around one operation of the channel of that name: its place, its breaker and its end. Raises NotAsked.

    `at_the_counter`: a buyer waits for it in one of the web's threads. `slug` is what it is counted under.
    """
    place, breaker = bulkhead_of(name).place(), breaker_of(name, operation)
    counter = _place_at_the_counter() if at_the_counter else nullcontext()
    try:
        with (
            span(f"provider {operation}", kind=SpanKind.CLIENT, channel=slug),
            _counted(slug, operation),
            place,
            counter,
            breaker.around(),
            within(settings.PROVIDER_TOTAL_TIMEOUT),
        ):
            yield
    except (BreakerOpen, NoPlace) as error:
        raise NotAsked(str(error)) from error


@contextmanager
def _counted(slug: str, operation: str) -> Iterator[None]:
    started, outcome = time.monotonic(), "failed"
    try:
        yield
        outcome = "answered"
    except BreakerOpen:
        outcome = "breaker_open"
        raise
    except NoPlace:
        outcome = "no_place"
        raise
    except GatewayRefused:
        outcome = "refused"
        raise
    except Unreachable:
        outcome = "unreachable"
        raise
    finally:
        provider_calls.labels(slug, operation, outcome).inc()
        if outcome not in ("breaker_open", "no_place"):
            provider_seconds.labels(slug, operation).observe(time.monotonic() - started)


@contextmanager
def _place_at_the_counter() -> Iterator[None]:
    """Only so many of a process's threads may wait for providers; the others serve the shop.

    Raises NoPlace when none becomes free in a moment.
    """
    if not _COUNTER.acquire(timeout=COUNTER_PATIENCE):
        raise NoPlace("too many are waiting for providers")
    try:
        yield
    finally:
        _COUNTER.release()
