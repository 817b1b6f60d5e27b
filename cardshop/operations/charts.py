"""Bars by day, for an SVG that the server draws: no script, and readable as a table."""

from collections.abc import Sequence
from dataclasses import dataclass

HIGHEST = 100  # units of the drawing, which is stretched to the room there is
OF_A_PLACE = 0.72  # how much of its place a bar fills


@dataclass(frozen=True)
class Bar:
    """Told apart by `x` alone; `y` is where it begins, from above."""

    x: str
    y: str
    width: str
    height: str
    says: str


def bars(values: Sequence[int], says: Sequence[str]) -> list[Bar]:
    """One for each value, the largest as high as the drawing; below zero is nothing."""
    most, width = max([*values, 1]), OF_A_PLACE
    drawn = []
    for place, (value, said) in enumerate(zip(values, says, strict=True)):
        height = HIGHEST * max(0, value) / most
        drawn.append(
            Bar(
                x=f"{place + (1 - width) / 2:.2f}",
                y=f"{HIGHEST - height:.2f}",
                width=f"{width:.2f}",
                height=f"{height:.2f}",
                says=said,
            )
        )
    return drawn
