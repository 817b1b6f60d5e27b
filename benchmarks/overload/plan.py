"""Who clicks when: parts of constant rate, one after the other, and ordinary purchases all the while."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.storm.pages import OpenedPage
from benchmarks.storm.plan import plan_line


@dataclass(frozen=True)
class Part:
    """From `start` to `end` (seconds after the start of the run) so many click a second."""

    name: str
    start: float
    end: float
    rate: float

    @property
    def seconds(self) -> float:
        return self.end - self.start

    @property
    def clicks(self) -> int:
        return round(self.rate * self.seconds)


def in_a_row(*parts: tuple[str, float, float]) -> list[Part]:
    """Each named, with its seconds and its clicks per second."""
    row: list[Part] = []
    for name, seconds, rate in parts:
        start = row[-1].end if row else 0.0
        row.append(Part(name, start, start + seconds, rate))
    return row


def click_moments(parts: Iterable[Part], *, seed: int) -> Iterator[float]:
    """One click in each interval, anywhere in it: as many as the rate says, and not in step."""
    dice = random.Random(f"overload {seed}")
    for part in parts:
        yield from (part.start + (number + dice.random()) / part.rate for number in range(part.clicks))


def ordinary_moments(parts: Sequence[Part], rate: float) -> list[float]:
    """In the middle of their intervals, so that none falls on the border of two parts."""
    return [(number + 0.5) / rate for number in range(round(parts[-1].end * rate))]


def write_plan(
    path: Path,
    *,
    clicks: Iterable[float],
    buyers: Sequence[OpenedPage],
    purchases: Iterable[float],
    shoppers: Sequence[OpenedPage],
) -> None:
    """One line a purchase, as storm/generator/plan.h reads it. Buyers of the sale hold and go away."""
    lines = [
        plan_line(kind, at, page, behaviour)
        for kind, behaviour, moments, pages in (
            ("storm", "abandon", clicks, buyers),
            ("ordinary", "pay", purchases, shoppers),
        )
        for at, page in zip(moments, pages, strict=True)
    ]
    path.write_text("".join(lines))
