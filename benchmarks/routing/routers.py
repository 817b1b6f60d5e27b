"""The routers that are compared: each is told the same things, and none knows the scenario."""

from collections import deque
from dataclasses import replace
from random import Random
from typing import Any, Protocol

from benchmarks.routing.scenarios import CHANNELS, EXPIRY, World
from payments.routing.choosing import Option, rank
from payments.routing.cohorts import Book
from payments.routing.estimator import CURVES_LAST, Curves, Knobs, Snapshot, estimate, learn_curves

AMOUNT = 10_000
WINDOW = 600.0  # seconds in which a buyer's payments count less and less


class Router(Protocol):
    """`left_alone`: channels whose breaker is open. `payment` counts up; it is what outcomes are told of."""

    def first(self, at: float, left_alone: set[int]) -> list[int]: ...
    def sent(self, at: float, payment: int, channel: int, buyer: int) -> None: ...
    def paid(self, at: float, payment: int) -> None: ...
    def error(self, at: float, channel: int) -> None: ...


class RoundRobin:
    def __init__(self) -> None:
        self._turn = -1

    def first(self, at: float, left_alone: set[int]) -> list[int]:
        self._turn += 1
        return [(self._turn + step) % CHANNELS for step in range(CHANNELS)]

    def sent(self, at: float, payment: int, channel: int, buyer: int) -> None:
        pass

    def paid(self, at: float, payment: int) -> None:
        pass

    def error(self, at: float, channel: int) -> None:
        pass


class BestFixed(RoundRobin):
    """The channel that was the best on the whole, known in hindsight."""

    def __init__(self, world: World) -> None:
        genuine = [payment for payment in world.payments if not payment.is_hostile]
        sums = [sum(payment.rates[channel] for payment in genuine) for channel in range(CHANNELS)]
        self._order = sorted(range(CHANNELS), key=lambda channel: -sums[channel])

    def first(self, at: float, left_alone: set[int]) -> list[int]:
        return self._order


class SuccessRate:
    """The mean of each channel's last outcomes, of which there are `window`, all good at first; `hedging` of
    the payments go to any channel. Not paid is known at the expiry, or after `patience` seconds: then it
    counts as a failure until it is paid after all.
    """

    def __init__(
        self, rng: Random, *, window: int = 125, hedging: float = 0.05, patience: float = EXPIRY
    ) -> None:
        self._rng, self._hedging, self._patience = rng, hedging, patience
        self._outcomes = [deque([[1] for _ in range(window)]) for _ in range(CHANNELS)]
        self._good = [window] * CHANNELS
        self._window = window
        self._waiting: deque[tuple[float, int, int]] = deque()
        self._channel: dict[int, int] = {}
        self._known: dict[int, list[int]] = {}

    def first(self, at: float, left_alone: set[int]) -> list[int]:
        while self._waiting and self._waiting[0][0] <= at - self._patience:
            _, payment, channel = self._waiting.popleft()
            if payment not in self._known:
                self._known[payment] = self._record(channel, 0)
        by_rate = sorted(range(CHANNELS), key=lambda channel: (-self._good[channel], self._rng.random()))
        if self._rng.random() < self._hedging:
            chosen = self._rng.randrange(CHANNELS)
            return [chosen, *(channel for channel in by_rate if channel != chosen)]
        return by_rate

    def sent(self, at: float, payment: int, channel: int, buyer: int) -> None:
        self._waiting.append((at, payment, channel))
        self._channel[payment] = channel

    def paid(self, at: float, payment: int) -> None:
        channel = self._channel[payment]
        outcome = self._known.get(payment)
        if outcome is None:
            self._known[payment] = self._record(channel, 1)
        elif outcome[0] == 0:
            outcome[0] = 1
            if any(one is outcome for one in self._outcomes[channel]):
                self._good[channel] += 1

    def error(self, at: float, channel: int) -> None:
        self._record(channel, 0)

    def _record(self, channel: int, outcome: int) -> list[int]:
        recorded = [outcome]
        self._outcomes[channel].append(recorded)
        self._good[channel] += outcome - self._outcomes[channel].popleft()[0]
        return recorded


class Cohorts:
    """What runs in the shop, with its state in memory: cohorts, the snapshot of at most once a second, the
    ranking. `bounds_buyers` is what the shop does in Redis: a buyer's n-th payment through a channel within
    ten minutes counts 1/n.
    """

    def __init__(self, rng: Random, knobs: Knobs, *, bounds_buyers: bool = True) -> None:
        self._rng, self._knobs, self._bounds_buyers = rng, knobs, bounds_buyers
        self._book, self._snapshot, self._curves = Book(), Snapshot(at=-1e9), Curves(-1e9)
        self._options = [Option(channel) for channel in range(CHANNELS)]
        self._attempts: dict[int, tuple[float, int, float]] = {}
        self._times: dict[tuple[int, int], tuple[float, int]] = {}

    def first(self, at: float, left_alone: set[int]) -> list[int]:
        self._look(at)
        options = self._options
        if left_alone:
            options = [replace(option, is_left_alone=option.key in left_alone) for option in options]
        ranking = rank(options, self._snapshot, amount_minor=AMOUNT, rng=self._rng, knobs=self._knobs)
        return [option.key for option in ranking.order]

    def _look(self, at: float) -> None:
        if at - self._snapshot.at < 1:
            return
        cohorts = self._book.cohorts(at)
        if at - self._curves.at >= CURVES_LAST:
            self._curves = learn_curves(cohorts, at)
        self._snapshot = estimate(cohorts, at, self._curves, self._knobs)

    def sent(self, at: float, payment: int, channel: int, buyer: int) -> None:
        weight = 1 / self._times_of(buyer, channel, at) if self._bounds_buyers else 1.0
        self._attempts[payment] = (at, channel, weight)
        self._book.sent(channel, at, weight)

    def _times_of(self, buyer: int, channel: int, at: float) -> int:
        since, times = self._times.get((buyer, channel), (at, 0))
        if at - since >= WINDOW:
            since, times = at, 0
        self._times[buyer, channel] = (since, times + 1)
        return times + 1

    def paid(self, at: float, payment: int) -> None:
        sent_at, channel, weight = self._attempts[payment]
        self._book.paid(channel, sent_at=sent_at, at=at, weight=weight)

    def error(self, at: float, channel: int) -> None:
        self._book.error(channel, at)


class CohortsWithBreaker(Cohorts):
    """Besides, a channel is left alone altogether for 5 s to 300 s when its conversions have collapsed."""

    def __init__(self, rng: Random, knobs: Knobs) -> None:
        super().__init__(rng, knobs)
        self._open_until = [0.0] * CHANNELS
        self._trips = [0] * CHANNELS

    def first(self, at: float, left_alone: set[int]) -> list[int]:
        self._look(at)
        for channel in range(CHANNELS):
            known = self._snapshot.of(channel)
            if known.trials >= 10 and known.rate < 0.4 * self._snapshot.anyone.rate:
                if at >= self._open_until[channel] + 30:
                    self._open_until[channel] = at + min(5.0 * 2 ** self._trips[channel], 300)
                    self._trips[channel] += 1
            elif at > self._open_until[channel]:
                self._trips[channel] = 0
        return super().first(at, left_alone | {c for c in range(CHANNELS) if at < self._open_until[c]})


class Oracle(RoundRobin):
    """Is told the rates of this very moment by whoever runs it."""

    def __init__(self) -> None:
        self.order: list[int] = list(range(CHANNELS))

    def first(self, at: float, left_alone: set[int]) -> list[int]:
        return self.order


Settings = dict[str, Any]


def build(kind: str, settings: Settings, world: World, rng: Random) -> Router:
    match kind:
        case "round robin":
            return RoundRobin()
        case "best fixed":
            return BestFixed(world)
        case "oracle":
            return Oracle()
        case "success rate" | "success rate, as described" | "success rate + provisional":
            return SuccessRate(rng, **settings)
        case "cohorts":
            return Cohorts(rng, Knobs(**settings))
        case "without delays":
            return Cohorts(rng, Knobs(**settings, learns_delays=False))
        case "without caps":
            return Cohorts(rng, Knobs(**{**settings, "in_flight_least": 1e9}))
        case "without bounds on buyers":
            return Cohorts(rng, Knobs(**settings), bounds_buyers=False)
        case "with a breaker":
            return CohortsWithBreaker(rng, Knobs(**settings))
    raise ValueError(kind)
