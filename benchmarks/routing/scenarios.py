"""What happens to the channels: written down, and committed, before any router was tuned on it.

Four channels of one method, 68 to 84 % of whose payments are paid, in an order that says nothing. A payment
that is going to be paid is heard of after about 15 s (log-normal); one that is not, never. Whoever meets a
technical error is sent on to the next channel; 3 of 100 have had enough by then. An outage is one of the best
channel, unless it says otherwise.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

CHANNELS = 4
SPREAD = 0.6  # of the delay's logarithm
MEDIAN = 15.0  # seconds
IMPATIENCE = 0.03  # of the buyers leave at each technical error
EXPIRY = 600.0  # seconds until an order that was not paid is known not to be


@dataclass(frozen=True)
class Outage:
    """`factor` is what remains of the channel's rate; `is_hard` means that it says so."""

    channel: int
    begins: float
    ends: float
    factor: float = 0.0
    is_hard: bool = False


@dataclass(frozen=True)
class Payment:
    """One buyer who wants to pay. Pays through channel c if `luck` < `rates[c]`, `delays[c]` seconds later.

    The same for every router. `errors[c]`: the channel answers with a technical error.
    """

    at: float
    buyer: int
    rates: tuple[float, ...]
    errors: tuple[bool, ...]
    delays: tuple[float, ...]
    luck: float
    is_hostile: bool = False


@dataclass(frozen=True)
class World:
    payments: list[Payment]
    outages: list[Outage]
    ends: float


@dataclass(frozen=True)
class Scenario:
    name: str
    story: str
    build: Callable[[Random], World]

    def world(self, seed: int) -> World:
        return self.build(Random(f"{self.name} {seed}"))


def _base_rates(rng: Random) -> list[float]:
    best = rng.uniform(0.76, 0.84)
    rates = [best, *(best - rng.uniform(0.01, 0.08) for _ in range(CHANNELS - 1))]
    rng.shuffle(rates)
    return rates


def _best(rates: list[float]) -> int:
    return max(range(CHANNELS), key=rates.__getitem__)


def _arrivals(rng: Random, *phases: tuple[float, float]) -> list[float]:
    """Poisson, for phases of (seconds, payments a second)."""
    moments, begins = [], 0.0
    for seconds, per_second in phases:
        at = begins + rng.expovariate(per_second)
        while at < begins + seconds:
            moments.append(at)
            at += rng.expovariate(per_second)
        begins += seconds
    return moments


@dataclass
class _Draft:
    rng: Random
    moments: list[float]
    ends: float
    rates: list[float]
    outages: list[Outage] = field(default_factory=list)
    rates_at: Callable[[float], list[float]] | None = None
    medians_at: Callable[[float], list[float]] = lambda at: [MEDIAN] * CHANNELS
    hostile: Callable[[float], int | None] = lambda at: None  # the buyer's number if this one is hostile
    target: int | None = None  # hostile buyers pay as others do, but never through this channel

    def world(self) -> World:
        return World([self._payment(n, at) for n, at in enumerate(self.moments)], self.outages, self.ends)

    def _payment(self, number: int, at: float) -> Payment:
        rates = list(self.rates_at(at) if self.rates_at else self.rates)
        errors = [False] * CHANNELS
        for outage in self.outages:
            if outage.begins <= at < outage.ends:
                rates[outage.channel] *= outage.factor
                errors[outage.channel] |= outage.is_hard
        hostile = self.hostile(at)
        if hostile is not None and self.target is not None:
            rates[self.target] = 0.0
        stretch = math.exp(SPREAD * self.rng.gauss(0, 1))
        return Payment(
            at=at,
            buyer=number if hostile is None else hostile,
            rates=tuple(rates),
            errors=tuple(errors),
            delays=tuple(median * stretch for median in self.medians_at(at)),
            luck=self.rng.random(),
            is_hostile=hostile is not None,
        )


def _steady(rng: Random, seconds: float = 1200, per_second: float = 3) -> _Draft:
    return _Draft(rng, _arrivals(rng, (seconds, per_second)), seconds, _base_rates(rng))


def _stationary(rng: Random) -> World:
    return _steady(rng).world()


def _one_outage(rng: Random, draft: _Draft, **how: float | bool) -> World:
    begins = rng.uniform(300, 500)
    ends = begins + rng.uniform(180, 420)
    draft.outages.append(Outage(_best(draft.rates), begins, ends, **how))  # type: ignore[arg-type]
    return draft.world()


def _hard(rng: Random) -> World:
    return _one_outage(rng, _steady(rng), is_hard=True)


def _silent(rng: Random) -> World:
    return _one_outage(rng, _steady(rng))


def _soft(rng: Random) -> World:
    return _one_outage(rng, _steady(rng), factor=rng.uniform(0.3, 0.7))


def _drift(rng: Random) -> World:
    """Every ten seconds each rate takes a step (sd 0.12 of its logit), drawn back to where it began."""
    draft = _steady(rng)
    home = [math.log(rate / (1 - rate)) for rate in draft.rates]
    now, path = list(home), []
    for _ in range(121):
        path.append([1 / (1 + math.exp(-logit)) for logit in now])
        now = [
            logit + 0.02 * (centre - logit) + rng.gauss(0, 0.12)
            for logit, centre in zip(now, home, strict=True)
        ]
    draft.rates_at = lambda at: path[int(at / 10)]
    return draft.world()


def _flash(rng: Random) -> World:
    """The best channel dies between 20 s before the rush and 10 s into it, and stays dead."""
    draft = _Draft(rng, _arrivals(rng, (300, 1), (90, 60), (210, 1)), 600, _base_rates(rng))
    draft.outages.append(Outage(_best(draft.rates), 300 + rng.uniform(-20, 10), 600))
    return draft.world()


def _tiny(rng: Random) -> World:
    """A day at one payment a minute; for three hours of it the best channel is dead."""
    day = 86400.0
    draft = _steady(rng, day, 1 / 60)
    begins = rng.uniform(0.3, 0.6) * day
    draft.outages.append(Outage(_best(draft.rates), begins, begins + 3 * 3600))
    return draft.world()


def _correlated(rng: Random) -> World:
    """All channels at once: nowhere to go, and afterwards the best is the best again."""
    draft = _steady(rng)
    begins = rng.uniform(300, 500)
    ends = begins + rng.uniform(180, 420)
    draft.outages.extend(Outage(channel, begins, ends, factor=0.02) for channel in range(CHANNELS))
    return draft.world()


def _other_delays(rng: Random) -> World:
    """The best channel reports three times as late as the others; for five minutes all take twice as long;
    and the best one dies silently, too.
    """
    draft = _steady(rng)
    slow, lag = _best(draft.rates), rng.uniform(100, 800)

    def medians(at: float) -> list[float]:
        factor = 2.0 if lag <= at < lag + 300 else 1.0
        return [factor * (45.0 if channel == slow else 15.0) for channel in range(CHANNELS)]

    draft.medians_at = medians
    return _one_outage(rng, draft)


def _attacked(rng: Random, *, bots: int | None) -> World:
    """For ten minutes two in five orders come from bots that pay through any channel but the best."""
    draft = _steady(rng, per_second=5)
    draft.target = _best(draft.rates)
    begins = rng.uniform(200, 400)
    serial = iter(range(-1, -(10**6), -1))

    def hostile(at: float) -> int | None:
        if not begins <= at < begins + 600 or rng.random() > 0.4:
            return None
        return next(serial) if bots is None else -rng.randint(1, bots)

    draft.hostile = hostile
    return draft.world()


def _adversary(rng: Random) -> World:
    return _attacked(rng, bots=rng.randint(1, 3))


def _botnet(rng: Random) -> World:
    return _attacked(rng, bots=None)


SCENARIOS = [
    Scenario("stationary", "nothing happens", _stationary),
    Scenario("hard outage", "the best channel answers with errors for some minutes", _hard),
    Scenario("silent outage", "it takes orders that nobody can pay, for some minutes", _silent),
    Scenario("soft outage", "a third to two thirds of its payments fail, for some minutes", _soft),
    Scenario("drift", "the rates wander", _drift),
    Scenario("flash burst", "60 a second for 90 s, and the best channel is silently dead", _flash),
    Scenario("tiny traffic", "one payment a minute for a day, and three hours of silent outage", _tiny),
    Scenario("correlated outage", "all channels fall together, and come back together", _correlated),
    Scenario(
        "other delays", "channels report at different speeds, which change; one silent outage", _other_delays
    ),
    Scenario("adversary", "up to three bots, two in five orders, pay anywhere but at the best", _adversary),
    Scenario("botnet", "the same, but every order from another buyer", _botnet),
]
TUNED_ON = range(1, 5)
REPORTED_ON = range(101, 133)
