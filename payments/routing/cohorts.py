"""What was sent where, and what came of it, counted by when it was sent.

A payment that is made is heard of some seconds later; one that is not is never heard of. So whatever comes in
is credited to the cohort in which it was sent, and how much may be expected of a cohort depends on its age.
Pure: no clock, no Redis. Weights are fractions: who sends often counts less each time.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field

FINE, COARSE = 5, 60  # seconds a cohort lasts
FINE_KEPT = 60  # seconds that cohorts are told apart finely; older ones are only seen as coarse ones
KEPT = 4 * 3600  # seconds
# Where the bins of delays end, in seconds. The last one also takes whatever comes later.
DELAYS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 120, 180, 240, 360, 600)


def delay_bin(seconds: float) -> int:
    return min(bisect_left(DELAYS, seconds), len(DELAYS) - 1)


@dataclass(slots=True)
class Tally:
    """Of one channel in one cohort. `sent` leaves out those that the provider answered with an error."""

    sent: float = 0.0
    errors: float = 0.0
    paid: float = 0.0
    delays: dict[int, float] = field(default_factory=dict)  # `paid`, by bin


@dataclass(slots=True)
class Cohort:
    begins: int
    lasts: int
    tallies: dict[int, Tally] = field(default_factory=dict)  # by channel

    def of(self, channel: int) -> Tally:
        if (tally := self.tallies.get(channel)) is None:
            tally = self.tallies[channel] = Tally()
        return tally


def begins_in_use(now: float, reach: float = KEPT) -> tuple[range, range]:
    """When the fine and the coarse cohorts begin that are looked at, newest first.

    The fine ones begin on the edge of a coarse one, so that nothing counts twice.
    """
    edge = int(now - FINE_KEPT) // COARSE * COARSE
    newest = int(now) // FINE * FINE
    return range(newest, edge - 1, -FINE), range(edge - COARSE, edge - int(reach), -COARSE)


class Book:
    """Cohorts in memory: what a process has seen itself."""

    def __init__(self) -> None:
        self._kept: dict[int, dict[int, Cohort]] = {FINE: {}, COARSE: {}}

    def sent(self, channel: int, at: float, weight: float = 1.0) -> None:
        for cohort in self._cohorts_at(at):
            cohort.of(channel).sent += weight

    def paid(self, channel: int, *, sent_at: float, at: float, weight: float = 1.0) -> None:
        where = delay_bin(at - sent_at)
        for cohort in self._cohorts_at(sent_at):
            tally = cohort.of(channel)
            tally.paid += weight
            tally.delays[where] = tally.delays.get(where, 0.0) + weight

    def error(self, channel: int, at: float) -> None:
        for cohort in self._cohorts_at(at):
            cohort.of(channel).errors += 1

    def cohorts(self, now: float) -> list[Cohort]:
        """Newest first; those in which nothing was sent are left out."""
        fine, coarse = begins_in_use(now)
        self._forget(FINE, fine[-1])
        self._forget(COARSE, coarse[-1])
        edge = fine[-1]
        newest = (self._kept[FINE][begins] for begins in fine if begins in self._kept[FINE])
        older = sorted((c for c in self._kept[COARSE].values() if c.begins < edge), key=_begins, reverse=True)
        return [*newest, *older]

    def _cohorts_at(self, at: float) -> Iterable[Cohort]:
        for lasts, kept in self._kept.items():
            begins = int(at) // lasts * lasts
            if (cohort := kept.get(begins)) is None:
                cohort = kept[begins] = Cohort(begins, lasts)
            yield cohort

    def _forget(self, lasts: int, before: int) -> None:
        kept = self._kept[lasts]
        for begins in [begins for begins in kept if begins < before]:
            del kept[begins]


def _begins(cohort: Cohort) -> int:
    return cohort.begins
