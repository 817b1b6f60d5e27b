"""A process that asks one database for pages, one request at a time, whenever it is told to."""

import gc
import logging
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from django.db import connection
from django.utils.translation import override

import benchmarks.ready  # noqa: F401  models come after it
from benchmarks.scale.pages import pages
from cardshop.common.clock import db_now
from cardshop.operations import standing
from cardshop.reports.rolling_up import roll_up


class Asked(NamedTuple):
    """Seconds in all and in the database, how many statements, and bytes of the answer."""

    seconds: float
    database: float
    statements: int
    size: int
    slowest: str = ""


class _Watch:
    """What a request asks of the database."""

    def __init__(self) -> None:
        self.seconds, self.statements, self.longest, self.slowest = 0.0, 0, 0.0, ""

    def __call__(self, execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        began = time.perf_counter()
        try:
            return execute(sql, *rest)
        finally:
            took = time.perf_counter() - began
            self.seconds += took
            self.statements += 1
            if took > self.longest:
                self.longest, self.slowest = took, sql


def serve(line: Connection, every_filter: bool) -> None:
    """Answers with the names of the pages, and then to each name with what it took."""
    logging.disable(logging.WARNING)
    standing.FRESH = 0.0
    roll_up(db_now())
    with override("en"):
        known = pages(every_filter=every_filter)
    line.send(list(known))
    turns = dict.fromkeys(known, 0)
    gc.collect()
    gc.freeze()
    while name := line.recv():
        watch = _Watch()
        with connection.execute_wrapper(watch):
            began = time.perf_counter()
            answer = known[name].ask(turns[name])
            seconds = time.perf_counter() - began
        turns[name] += 1
        size = 0 if answer.streaming else len(answer.content)
        line.send(Asked(seconds, watch.seconds, watch.statements, size, watch.slowest))
