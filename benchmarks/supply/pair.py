"""Two shops, each with its own servers and processes; the one sells what the other has."""

import json
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Self

import httpx
import psycopg2

from benchmarks.soak.stack import Stack
from benchmarks.supply.between import Between
from benchmarks.supply.buyer import Buyer
from benchmarks.supply.furnishing import BOUGHT, FILL_IN, HERE, THERE
from cardshop.embedded import database_url
from tests.stack import RunningShop

PATIENCE = 120.0  # seconds
ENVIRONMENT = {"DJANGO_SETTINGS_MODULE": "benchmarks.supply.settings", "SUPPLIERS_PRIVATE_ADDRESSES": "yes"}
FRESH = 1.5  # seconds; longer than a process remembers which shops have suppliers

STATUS = """
    SELECT row.status FROM suppliers_supplierorder AS row
    JOIN orders_orderitem AS item ON item.id = row.item_id
    JOIN orders_order AS "order" ON "order".id = item.order_id WHERE "order".token = %(token)s"""
HURRY = "UPDATE suppliers_supplierorder SET next_at = clock_timestamp() WHERE next_at IS NOT NULL"
WAITS = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
END_WHO_WAITS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


class Pair:
    """`here` sells to buyers, `there` to `here`, which asks through `between`."""

    def __init__(self, here: Path, there: Path, *, keys: int = 100) -> None:
        self._shops = [RunningShop(var, environment=ENVIRONMENT) for var in (here, there)]
        self.between = Between(self._shops[1].url)
        self.keys = [f"THERE-{secrets.token_hex(8).upper()}" for _ in range(keys)]

    def __enter__(self) -> Self:
        with ThreadPoolExecutor(2) as both:
            starts = [both.submit(shop.__enter__) for shop in self._shops]
        try:
            for start in starts:
                start.result()
            self.between.__enter__()
            self.here, self.there = (Stack(shop) for shop in self._shops)
            self.buyer = Buyer(self.here.shop.url)
            self._furnish()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with ThreadPoolExecutor(2) as both:
            list(both.map(RunningShop.__exit__, self._shops))
        self.between.__exit__()

    def _furnish(self) -> None:
        keys = json.loads(run(self.there, THERE))
        said = self.there.shop.manage("import_keys", "source", "-", text="\n".join(self.keys))
        assert said.returncode == 0, said.stderr
        run(self.here, f"URL, KEYS = {self.between.url!r}, {keys!r}\n{HERE}")
        time.sleep(FRESH)

    # What is done to them

    def kill_web_there(self) -> None:
        """The processes that answer, and whoever starts them again does so."""
        self._kill(self.there, "web")

    def kill_all_there(self) -> None:
        """As when the machine dies: the servers, too, and nobody starts anything."""
        self.there.shop.kill()

    @contextmanager
    def no_database_there(self) -> Iterator[None]:
        """It is killed, and comes back at the end."""
        os.kill(self.there.shop.pid, signal.SIGSTOP)  # who would start it again at once
        try:
            self._kill(self.there, "postgres")
            yield
        finally:
            os.kill(self.there.shop.pid, signal.SIGCONT)

    @contextmanager
    def locked(self, stack: Stack, table: str) -> Iterator[None]:
        """Whoever writes to its rows waits. Who is waiting at the end has never written."""
        with closing(psycopg2.connect(database_url(stack.shop.var))) as connection:
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT FROM {table} FOR UPDATE")
            yield
            with suppress(psycopg2.OperationalError):  # the server has died meanwhile
                stack.query(END_WHO_WAITS)

    def wait_for_somebody_at(self, stack: Stack) -> None:
        """At a lock."""
        wait_for(lambda: bool(stack.query(WAITS)), every=0.05)

    def kill_who_asks(self) -> None:
        """The worker here that asks suppliers."""
        self._kill(self.here, "polling")

    def _kill(self, stack: Stack, role: str) -> None:
        for process in stack.processes()[role]:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)

    def fill_in_there(self) -> str:
        """What somebody types there for the order that waits for it."""
        self.keys.append(typed := f"TYPED-{secrets.token_hex(8).upper()}")
        run(self.there, f"TYPED = {typed!r}\n{FILL_IN}")
        return typed

    def status_of_asking(self, token: str) -> str:
        ((status,),) = self.here.query(STATUS, token=token)
        return str(status)

    # Until all is well

    def be_ready(self) -> None:
        """What has died has come back, and may be killed again."""
        if self.there.shop.is_dead:
            self.there.shop.__enter__()
        for stack in (self.here, self.there):
            wait_for(partial(_is_ready, stack))
            stack.wait_until_settled()

    def hurry(self) -> None:
        """What was put off is due now, and what a dead worker had leased."""
        self.here.query(HURRY)

    def wait_until(self, token: str, *, status: str) -> None:
        def come_true() -> bool:
            self.hurry()
            return self.buyer.status(token) == status

        wait_for(come_true, every=1.0)

    def bought(self) -> list[tuple[str, str, list[str]]]:
        """What was sold there to an account of ours: its name, our number, the keys."""
        return [(name, reference, keys) for name, reference, keys in json.loads(run(self.there, BOUGHT))]


def run(stack: Stack, program: str) -> str:
    said = stack.shop.manage("shell", "--verbosity", "0", "-c", program)
    assert said.returncode == 0, said.stderr
    return said.stdout


def _is_ready(stack: Stack) -> bool:
    try:
        return not stack.what_is_missing()
    except httpx.HTTPError:
        return False


def wait_for(come_true: Callable[[], bool], *, every: float = 0.5) -> None:
    deadline = time.monotonic() + PATIENCE
    while not come_true():
        if time.monotonic() > deadline:
            raise TimeoutError("it has not come true")
        time.sleep(every)
