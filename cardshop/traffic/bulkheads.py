"""Bulkheads: a partner who keeps us waiting holds a part of a process's threads, never all of them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Condition

from cardshop.traffic.breakers import BreakerOpen

# Seconds. In a rush a sound partner may need this long; one that trickles needs much longer.
SLOW = 3.0
PATIENCE = 1.0

_threads = 8


class NoPlace(Exception):
    """The call was not made."""


def pool_has(threads: int) -> None:
    """How many threads of this process may call somebody. Before the first call."""
    global _threads
    _threads = threads


class Bulkhead:
    """The places of one partner in this process: half of the pool's threads, and a quarter once it is slow,
    which is who kept its last caller waiting longer than SLOW, or keeps one waiting now.

    When they are taken, one waits a moment, since quick calls will be over. For a slow partner nobody waits.
    """

    def __init__(self) -> None:
        self._changed = Condition()
        self._since: dict[object, float] = {}  # of the calls under way
        self._last_took = 0.0

    @property
    def is_slow(self) -> bool:
        waits = time.monotonic() - min(list(self._since.values()), default=float("inf"))
        return max(self._last_took, waits) > SLOW

    @contextmanager
    def place(self) -> Iterator[None]:
        """Around one call. Raises NoPlace instead of making it."""
        me, called = object(), True
        self._enter(me)
        try:
            yield
        except (BreakerOpen, NoPlace):  # another guard behind this one
            called = False
            raise
        finally:
            self._leave(me, called=called)

    def _enter(self, me: object) -> None:
        until = time.monotonic() + PATIENCE
        with self._changed:
            while len(self._since) >= self._places():
                left = until - time.monotonic()
                if left <= 0 or self.is_slow:
                    raise NoPlace("too many are waiting for an answer")
                self._changed.wait(left)
            self._since[me] = time.monotonic()

    def _leave(self, me: object, *, called: bool) -> None:
        with self._changed:
            took = time.monotonic() - self._since.pop(me)
            if called:
                self._last_took = took
            self._changed.notify()

    def _places(self) -> int:
        return max(1, _threads // (4 if self.is_slow else 2))


@cache
def bulkhead_of(name: str) -> Bulkhead:
    return Bulkhead()
