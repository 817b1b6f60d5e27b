"""Which channel first? Pure, and O(channels)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from payments.routing.estimator import Estimate, Knobs, Snapshot


@dataclass(frozen=True)
class Option:
    """A channel as the router sees it, in the merchant's order. Amounts in minor units."""

    key: int
    fee_basis_points: int = 0
    fee_fixed_minor: int = 0
    least_minor: int | None = None
    most_minor: int | None = None
    is_pinned: bool = False
    is_left_alone: bool = False  # its breaker is open

    def takes(self, amount_minor: int) -> bool:
        return (self.least_minor or 0) <= amount_minor and (
            self.most_minor is None or amount_minor <= self.most_minor
        )

    def worth(self, amount_minor: int) -> float:
        """What is left of a payment after the fee, as a share of it."""
        fee = amount_minor * self.fee_basis_points / 10_000 + self.fee_fixed_minor
        return max(0.0, 1 - fee / amount_minor) if amount_minor else 1.0


@dataclass(frozen=True)
class Ranking:
    """`order` best first. `is_probe`: the first is there to be learnt about. The rest is for the record."""

    order: list[Option]
    is_probe: bool
    draws: dict[int, float]


def rank(
    options: Sequence[Option], snapshot: Snapshot, *, amount_minor: int, rng: Random, knobs: Knobs
) -> Ranking:
    """The options that take the amount: first the one to be tried, then those to fall back on.

    Thompson's sampling: each is drawn a rate from what is known of it, and the best draw goes first, unless
    too much is in flight with it already. A pinned one goes first while it works; who is left alone, last.
    """
    fit = [option for option in options if option.takes(amount_minor)]
    worth = {option.key: option.worth(amount_minor) for option in fit}
    known = {option.key: snapshot.of(option.key) for option in fit}

    def promise(option: Option) -> tuple[bool, float]:
        return not option.is_left_alone, known[option.key].rate * worth[option.key]

    by_promise = sorted(fit, key=promise, reverse=True)
    if len(by_promise) < 2 or by_promise[1].is_left_alone:
        return Ranking(by_promise, False, {})
    leader = by_promise[0]
    working = (option for option in by_promise if _works(option, known, leader))
    if pinned := next((option for option in working if option.is_pinned), None):
        return Ranking(_first(pinned, by_promise), False, {})
    draws = {
        option.key: rng.betavariate(*known[option.key].paid_and_not) * worth[option.key]
        for option in by_promise
        if not option.is_left_alone
    }
    others = [option for option in by_promise[1:] if not option.is_left_alone]
    if is_probe := rng.random() < knobs.probing:
        chosen = rng.choice(others)
    else:
        chosen = max((leader, *others), key=lambda option: draws[option.key])
    if chosen is not leader and rng.random() >= _room(known[chosen.key], snapshot, knobs):
        chosen, is_probe = leader, False
    return Ranking(_first(chosen, by_promise), is_probe, draws)


def _first(chosen: Option, options: Sequence[Option]) -> list[Option]:
    return [chosen, *(option for option in options if option is not chosen)]


def _works(option: Option, known: Mapping[int, Estimate], leader: Option) -> bool:
    """Its breaker is closed, and it is not beyond doubt less than half as good as the best."""
    estimate = known[option.key]
    at_best = estimate.rate + 3 * estimate.deviation
    return not option.is_left_alone and at_best >= known[leader.key].rate / 2


def _room(estimate: Estimate, snapshot: Snapshot, knobs: Knobs) -> float:
    """The share of those who would explore that may, until the next snapshot."""
    most = max(knobs.in_flight_least, knobs.in_flight * snapshot.in_flight)
    return (most - estimate.in_flight) / max(1.0, snapshot.per_second)
