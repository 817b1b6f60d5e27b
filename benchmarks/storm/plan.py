"""Who clicks when, and how they behave: decided by the seed, before anything runs."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.storm.pages import OpenedPage


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The storm to be planned. Moments are seconds after the start of the run."""

    buyers: int
    seed: int
    spread: float  # seconds over which the clicks arrive, evenly
    hold_seconds: int
    # Shares of the buyers. Who does none of these simply pays.
    abandoning: float  # once they hold a key, they never look again
    doubling: float  # click twice
    hammering: float  # click and poll ten times a second, for a while
    ordinary_rate: float  # purchases of another product, per second; 0 for none
    ordinary_each: int  # how many of them are counted before the storm, and at least during it
    ordinary_warm_up: float = 2.0  # seconds of purchases that are not counted
    ordinary_tail: float = 30.0  # seconds of them from the first click on, if that makes more
    late: int = 0  # buyers who click when the storm is over
    late_spread: float = 10.0  # seconds over which they come

    @property
    def storm_at(self) -> float:
        if not self.ordinary_rate:
            return 1.0
        return self.ordinary_warm_up + self.ordinary_each / self.ordinary_rate

    @property
    def ordinary_count(self) -> int:
        tail = max(self.ordinary_each / self.ordinary_rate, self.ordinary_tail) if self.ordinary_rate else 0
        return round((self.storm_at + tail) * self.ordinary_rate)


def address_of(number: int, *, network: int) -> str:
    """A client address of one's own in 10.`network`.0.0/15 and on; 254 to a /24."""
    return f"10.{network + number // (254 * 254)}.{number // 254 % 254}.{number % 254 + 1}"


def behaviours(shape: Shape) -> Iterator[str]:
    dice = random.Random(f"behaviour {shape.seed}")
    shares = {"abandon": shape.abandoning, "double": shape.doubling, "hammer": shape.hammering}
    names, weights = [*shares, "pay"], [*shares.values(), 1 - sum(shares.values())]
    while True:
        yield from dice.choices(names, weights)


def write_plan(
    path: Path, shape: Shape, *, storm: Sequence[OpenedPage], ordinary: Sequence[OpenedPage]
) -> None:
    """One line a purchase, as generator/plan.h reads it."""
    lines = [
        plan_line("ordinary", number / shape.ordinary_rate, page, "pay")
        for number, page in enumerate(ordinary)
    ]
    lines += [
        plan_line("storm", at, page, behaviour)
        for at, page, behaviour in zip(_clicks(shape), storm, behaviours(shape), strict=False)
    ]
    path.write_text("".join(lines))


def _clicks(shape: Shape) -> Iterator[float]:
    dice = random.Random(f"arrival {shape.seed}")
    for _ in range(shape.buyers):
        yield shape.storm_at + dice.random() * shape.spread
    for _ in range(shape.late):
        yield shape.storm_at + shape.spread + dice.random() * shape.late_spread


def plan_line(kind: str, at: float, page: OpenedPage, behaviour: str) -> str:
    """`kind`: storm or ordinary; `at`: seconds after the start of the run."""
    who = page.visitor
    fields = (kind, str(round(at * 1e6)), page.buyer_pass, page.idempotency_key, who.email, who.address)
    return "\t".join((*fields, behaviour)) + "\n"
