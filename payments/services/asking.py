"""One round of questions to providers, so that nobody waits for one that is not even theirs."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from cardshop.outbox.services import NotReached
from payments.gateways import is_slow
from payments.gateways.base import Unreachable
from payments.models import PaymentChannel

Row = TypeVar("Row")


class Round:
    """Questions that are asked one after the other, each of them through `asking`.

    A channel that does not answer is left alone from then on: it costs one time-out and not one for every
    buyer. Its id goes into `silent`, which may be shared by the rounds of one run. Each channel may use up
    `seconds` of its own, if any are given, and never those of another.
    """

    def __init__(self, *, seconds: float | None = None, silent: set[int] | None = None) -> None:
        self._seconds = seconds
        self._silent = set() if silent is None else silent
        self._spent: dict[int, float] = defaultdict(float)

    def leaves_alone(self, channel_id: int) -> bool:
        return channel_id in self._silent

    @contextmanager
    def asking(self, channel: PaymentChannel) -> Iterator[None]:
        """Around one question. Raises Unreachable for a channel that is left alone, NotReached for one
        whose time is used up; the question is not asked then.
        """
        if channel.pk in self._silent:
            raise Unreachable(f"{channel.slug} did not answer a moment ago")
        if self._seconds is not None and self._spent[channel.pk] > self._seconds:
            raise NotReached
        began = time.monotonic()
        try:
            yield
        except Unreachable:
            self._silent.add(channel.pk)
            raise
        finally:
            self._spent[channel.pk] += time.monotonic() - began


def slow_ones_last(rows: Iterable[Row], channels_of: Callable[[Row], Iterable[int]]) -> list[list[Row]]:
    """The rows in two groups, or one. What is to become of the first is decided before the second is asked
    about: it has no channel that keeps us waiting at the moment, and nobody in it waits for one.
    """
    quick: list[Row] = []
    slow: list[Row] = []
    for row in rows:
        (slow if any(is_slow(channel) for channel in channels_of(row)) else quick).append(row)
    return [group for group in (quick, slow) if group]
