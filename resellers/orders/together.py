"""What the threads of a process want done at the same moment is done together, by one of them.

Flat combining, by Hendler, Incze, Shavit and Tzafrir (https://doi.org/10.1145/1810479.1810540): whoever comes
while nobody is at work does the work of all who wait by then; whoever comes meanwhile waits, and one of those
does the next round. Nobody waits for company: alone one works alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass
class _Waiting(Generic[Item, Result]):
    item: Item
    leads: bool = False
    outcome: Result | Exception | None = None
    woken: Event = field(default_factory=Event)


class Together(Generic[Item, Result]):
    """`work` has an outcome for each of at most `most` items, in their order; it never raises."""

    def __init__(self, work: Callable[[Sequence[Item]], Sequence[Result | Exception]], *, most: int) -> None:
        self._work = work
        self._most = most
        self._lock = Lock()
        self._waiting: list[_Waiting[Item, Result]] = []
        self._is_at_work = False

    def do(self, item: Item) -> Result:
        """The result for `item`. Raises what the work has for it instead."""
        mine: _Waiting[Item, Result] = _Waiting(item)
        with self._lock:
            self._waiting.append(mine)
            mine.leads = not self._is_at_work
            self._is_at_work = True
        if not mine.leads:
            mine.woken.wait()
        if mine.leads:
            self._do_for_all()
        if isinstance(mine.outcome, Exception):
            raise mine.outcome
        assert mine.outcome is not None
        return mine.outcome

    def _do_for_all(self) -> None:
        """The leader is always among them, since it has waited longest."""
        with self._lock:
            those, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        outcomes: Sequence[Result | Exception] = [RuntimeError("the work broke off")] * len(those)
        try:
            outcomes = self._work([one.item for one in those])
        finally:
            self._hand_over()
            for one, outcome in zip(those, outcomes, strict=True):
                one.outcome = outcome
                one.woken.set()

    def _hand_over(self) -> None:
        with self._lock:
            self._is_at_work = bool(self._waiting)
            if self._is_at_work:
                self._waiting[0].leads = True
                self._waiting[0].woken.set()
