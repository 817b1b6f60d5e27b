"""One router through one world."""

import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random

from benchmarks.routing.routers import Oracle, Settings, build
from benchmarks.routing.scenarios import CHANNELS, IMPATIENCE, Outage, World

_BREAKER_TRIPS, _OPEN_FIRST, _OPEN_LONGEST = 5, 5.0, 300.0
_NEXT_FEW = 20
_MINUTE = 60.0


@dataclass
class Breakers:
    """As cardshop.traffic.breakers has them, in short: five errors in a row, 5 s, twice as long each time."""

    in_a_row: list[int] = field(default_factory=lambda: [0] * CHANNELS)
    open_until: list[float] = field(default_factory=lambda: [0.0] * CHANNELS)
    seconds: list[float] = field(default_factory=lambda: [_OPEN_FIRST] * CHANNELS)

    def left_alone(self, at: float) -> set[int]:
        return {channel for channel in range(CHANNELS) if at < self.open_until[channel]}

    def tell(self, channel: int, at: float, *, is_error: bool) -> None:
        if not is_error:
            self.in_a_row[channel], self.seconds[channel] = 0, _OPEN_FIRST
            return
        self.in_a_row[channel] += 1
        if self.in_a_row[channel] >= _BREAKER_TRIPS:
            self.open_until[channel] = at + self.seconds[channel]
            self.seconds[channel] = min(2 * self.seconds[channel], _OPEN_LONGEST)


@dataclass(frozen=True)
class Sent:
    """What became of a genuine payment. `lost`: the chance of being paid that the best channel had more."""

    at: float
    channel: int
    lost: float
    best: float
    attempts: int
    is_paid: bool


@dataclass(frozen=True)
class Run:
    """`detected` and `recovered` are seconds, None unless one channel died that had most of the payments."""

    regret: float  # lost payments in 1,000
    paid: float  # share
    to_dead: float  # share sent through a channel that was as good as dead
    twice: float  # share that needed more than one attempt
    detected: float | None
    recovered: float | None
    worst_minute: float | None  # lost payments in 1,000, in the worst 60 s that saw at least 20
    microseconds: float  # a decision, its share of snapshots included
    minutes: tuple[float, ...]  # lost payments in 1,000, minute by minute


def run(kind: str, settings: Settings, world: World, seed: int) -> Run:
    router = build(kind, settings, world, Random(f"{kind} {seed}"))
    breakers, sent = Breakers(), []
    news: list[tuple[float, int]] = []
    spent = 0.0
    for number, payment in enumerate(world.payments):
        at = payment.at
        while news and news[0][0] <= at:
            when, which = heappop(news)
            router.paid(when, which)
        left_alone = breakers.left_alone(at)
        if isinstance(router, Oracle):
            router.order = _best_first(payment.rates, payment.errors)
        before = time.perf_counter()
        order = router.first(at, left_alone)
        spent += time.perf_counter() - before
        # The checkout tries those last whose breaker is open, whatever the router says.
        order = [c for c in order if c not in left_alone] + [c for c in order if c in left_alone]
        attempts, patience = 0, 1.0
        for channel in order:
            attempts += 1
            is_error = payment.errors[channel]
            breakers.tell(channel, at, is_error=is_error)
            if not is_error:
                break
            router.error(at, channel)
            patience *= 1 - IMPATIENCE
        router.sent(at, number, channel, payment.buyer)
        rate = payment.rates[channel] * patience
        if is_paid := payment.luck < rate and not payment.errors[channel]:
            heappush(news, (at + payment.delays[channel], number))
        if not payment.is_hostile:
            best = max(payment.rates)
            sent.append(Sent(at, channel, best - rate, best, attempts, is_paid))
    return _judged(sent, world, spent / len(world.payments) * 1e6)


def _best_first(rates: Sequence[float], errors: Sequence[bool]) -> list[int]:
    return sorted(range(CHANNELS), key=lambda channel: (errors[channel], -rates[channel]))


def _judged(sent: list[Sent], world: World, microseconds: float) -> Run:
    count = len(sent)
    dead = [outage for outage in world.outages if outage.factor < 0.1]
    alone = dead if len(dead) == 1 and _was_in_use(sent, dead[0]) else []
    minutes = _minutes(sent, world.ends)
    return Run(
        regret=1000 * sum(one.lost for one in sent) / count,
        paid=sum(one.is_paid for one in sent) / count,
        to_dead=sum(any(_met(one, outage) for outage in dead) for one in sent) / count,
        twice=sum(one.attempts > 1 for one in sent) / count,
        detected=_detected(sent, alone[0]) if alone else None,
        recovered=_recovered(sent, alone[0]) if alone and alone[0].ends < world.ends else None,
        worst_minute=max((lost for lost, seen in minutes if seen >= 20), default=None),
        microseconds=microseconds,
        minutes=tuple(lost for lost, _ in minutes),
    )


def _met(one: Sent, outage: Outage) -> bool:
    return one.channel == outage.channel and outage.begins <= one.at < outage.ends


def _was_in_use(sent: list[Sent], outage: Outage) -> bool:
    """Of the 20 payments before it died, at least half went through it."""
    died = bisect_left(sent, outage.begins, key=lambda one: one.at)
    before = sent[max(died - _NEXT_FEW, 0) : died]
    return sum(one.channel == outage.channel for one in before) >= _NEXT_FEW // 2


def _detected(sent: list[Sent], outage: Outage) -> float:
    """Until of the next 20 at most four go to the dead channel."""
    for at, few in _runs(sent, outage.begins, outage.ends):
        if sum(one.channel == outage.channel for one in few) <= _NEXT_FEW // 5:
            return at - outage.begins
    return outage.ends - outage.begins


def _recovered(sent: list[Sent], outage: Outage) -> float:
    """Until of the next 20 at least half go to the channel that is well again."""
    ends = sent[-1].at
    for at, few in _runs(sent, outage.ends, ends):
        if sum(one.channel == outage.channel for one in few) >= _NEXT_FEW // 2:
            return at - outage.ends
    return ends - outage.ends


def _runs(sent: list[Sent], begins: float, ends: float) -> list[tuple[float, list[Sent]]]:
    first = bisect_left(sent, begins, key=lambda one: one.at)
    last = bisect_left(sent, ends, key=lambda one: one.at)
    return [(sent[n].at, sent[n : n + _NEXT_FEW]) for n in range(first, last)]


def _minutes(sent: list[Sent], ends: float) -> list[tuple[float, int]]:
    """(lost in 1,000, payments) for each minute."""
    lost = [0.0] * (int(ends / _MINUTE) + 1)
    seen = [0] * len(lost)
    for one in sent:
        lost[int(one.at / _MINUTE)] += one.lost
        seen[int(one.at / _MINUTE)] += 1
    return [(1000 * gone / max(count, 1), count) for gone, count in zip(lost, seen, strict=True)]
