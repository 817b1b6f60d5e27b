"""A process full of callers: each buys, waits until it knows that it has, and buys again.

A closed loop, in process: no HTTP, no page. What is measured is the way from "I want one" to a
committed order, by the shop's own code.
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Barrier, Thread

from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.test import override_settings

import benchmarks.ready  # noqa: F401  models come after it
from cardshop.traffic.passes import BuyerPass
from inventory.errors import StockBusy
from inventory.models import Variant
from orders.admission.directory import Listing, listing_of
from orders.admission.entering import click_of, enter_line
from orders.admission.gate import Gate, connect
from orders.services.placing import place_order

QUEUED = "queued"
LANGUAGE = "zh-hans"
LOOK_EVERY = 0.002  # seconds between two looks at everybody's tickets
STATUSES = """
    local said = {}
    for at, ticket in ipairs(KEYS) do said[at] = redis.call('HGET', ticket, 's') end
    return said"""

Buy = Callable[[], bool]


@dataclass(frozen=True)
class Task:
    """One run's share of a process. `strategy` is one of inventory.stock's, or QUEUED."""

    strategy: str
    callers: int
    connections: int
    warm_up: float
    seconds: float


@dataclass
class Tally:
    """What a run came to; `seconds` are those of each sale, from wanting to knowing."""

    sold: int
    failed: int
    seconds: list[float]


def serve(orders: Connection, start: Barrier, variants: dict[str, int]) -> None:
    """Run Tasks as they come, all processes at one moment; None ends it."""
    while (task := orders.recv()) is not None:
        orders.send(_run(task, start, variants))


def _run(task: Task, start: Barrier, variants: dict[str, int]) -> Tally:
    variant = Variant.objects.select_related("shop", "product").get(pk=variants[task.strategy])
    connections.close_all()
    with _way_to_buy(task, variant) as buy:
        callers = [_Caller(buy, task) for _ in range(task.callers)]
        start.wait()
        began = time.monotonic()
        for caller in callers:
            caller.start(began)
        for caller in callers:
            caller.join()
    return Tally(
        sold=sum(len(caller.seconds) for caller in callers),
        failed=sum(caller.failed for caller in callers),
        seconds=[seconds for caller in callers for seconds in caller.seconds],
    )


class _Caller:
    """One buyer after the other, on a thread of its own. Only what ends within the seconds counts."""

    def __init__(self, buy: Buy, task: Task) -> None:
        self.seconds: list[float] = []
        self.failed = 0
        self._buy, self._task = buy, task

    def start(self, began: float) -> None:
        self._thread = Thread(target=self._go_on, args=[began + self._task.warm_up])
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def _go_on(self, counted_from: float) -> None:
        until = counted_from + self._task.seconds
        while (wanted := time.monotonic()) < until:
            sold = self._buy()
            if not counted_from <= (knows := time.monotonic()) < until:
                continue
            if sold:
                self.seconds.append(knows - wanted)
            else:
                self.failed += 1


@contextmanager
def _way_to_buy(task: Task, variant: Variant) -> Iterator[Buy]:
    if task.strategy == QUEUED:
        listing = listing_of(variant)
        with _Watch(Gate(variant.pk)) as watch:
            yield lambda: _join_the_line(listing, watch)
        return
    pool = _Pool(min(task.connections, task.callers))
    try:
        with override_settings(STOCK_STRATEGY=task.strategy):
            yield lambda: _buy_directly(variant, pool)
    finally:
        pool.close()


def _buyer(variant_code: str) -> BuyerPass:
    """Nobody who was here before: budgets are per buyer, and the address says nothing."""
    return BuyerPass(secrets.token_urlsafe(16), variant_code, expires_at=0)


# Directly


class _Pool:
    """So many database connections, opened once; each is lent to one thread at a time."""

    def __init__(self, size: int) -> None:
        self._all = [connections.create_connection(DEFAULT_DB_ALIAS) for _ in range(size)]
        self._free = SimpleQueue[object]()
        for connection in self._all:
            connection.inc_thread_sharing()
            connection.ensure_connection()
            self._free.put(connection)

    @contextmanager
    def lent(self) -> Iterator[None]:
        connection = self._free.get()
        connections[DEFAULT_DB_ALIAS] = connection  # type: ignore[assignment]
        try:
            yield
        finally:
            self._free.put(connection)

    def close(self) -> None:
        for connection in self._all:
            connection.close()


def _buy_directly(variant: Variant, pool: _Pool) -> bool:
    buyer = _buyer(variant.code)
    with pool.lent():
        try:
            place_order(
                shop=variant.shop,
                variant_code=variant.code,
                quantity=1,
                contact_email=f"{buyer.buyer_id}@example.org",
                buyer=buyer,
                idempotency_key=secrets.token_urlsafe(16),
                language=LANGUAGE,
                now=datetime.now(UTC),
            )
        except (StockBusy, OperationalError):  # overtaken too often, or 3 s before a lock
            return False
    return True


# Through the line


class _Watch:
    """Tells callers what became of their tickets: one thread asks for all of them in one Redis call."""

    def __init__(self, gate: Gate) -> None:
        self._prefix = gate.gate.removesuffix("gate") + "t:"
        self._waiting: dict[str, SimpleQueue[bytes]] = {}
        self._over = threading.Event()
        self._thread = Thread(target=self._look, daemon=True)

    def __enter__(self) -> "_Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def settled(self, ticket_id: str) -> bytes:
        """The ticket's status, once PostgreSQL has decided."""
        told = self._waiting[ticket_id] = SimpleQueue[bytes]()
        return told.get()

    def _look(self) -> None:
        ask = connect().register_script(STATUSES)
        while not self._over.wait(LOOK_EVERY):
            ticket_ids = list(self._waiting)
            if not ticket_ids:
                continue
            said = ask(keys=[self._prefix + ticket_id for ticket_id in ticket_ids], client=connect())
            for ticket_id, status in zip(ticket_ids, said, strict=True):
                if status != b"queued":
                    self._waiting.pop(ticket_id).put(status)


def _join_the_line(listing: Listing, watch: _Watch) -> bool:
    buyer = _buyer(listing.code)
    click = click_of(
        listing,
        buyer,
        quantity=1,
        contact_email=f"{buyer.buyer_id}@example.org",
        idempotency_key=secrets.token_urlsafe(16),
        language=LANGUAGE,
        address="",
    )
    standing = enter_line(listing, click)
    return standing.status == "held" or watch.settled(click.ticket_id) == b"held"
