"""Bars on a logarithmic axis, as one self-contained SVG. Every bar carries its number."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, ROW, GAP, TOP, LEFT, RIGHT = 1000, 26, 18, 104, 250, 110
INK, QUIET, GRID, PAPER = "#1d2433", "#5c6678", "#e4e8ef", "#ffffff"
# Told apart also by those who see few colours: Okabe and Ito's, darkened where text needs it.
COLOURS = ("#8a94a6", "#c46a00", "#00785a", "#0072b2", "#8f4f8a", "#5c6678")
FONT = "font-family=\"system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif\""


@dataclass(frozen=True)
class Group:
    """Bars that belong together: (name, value above 0)."""

    title: str
    bars: Sequence[tuple[str, float]]


def draw(headline: str, below: str, groups: Sequence[Group]) -> str:
    values = [value for group in groups for _, value in group.bars]
    least, most = 10 ** math.floor(math.log10(min(values) * 0.8)), max(values) * 1.05
    bottom = TOP + sum(len(group.bars) * ROW + GAP + 22 for group in groups)
    names = dict.fromkeys(name for group in groups for name, _ in group.bars)
    colours = {name: COLOURS[at % len(COLOURS)] for at, name in enumerate(names)}

    def across(value: float) -> float:
        part = math.log(value / least) / math.log(most / least)
        return LEFT + (WIDTH - LEFT - RIGHT) * part

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 48}" {FONT} role="img">',
        f"<title>{escape(headline)}</title>",
        f'<rect width="{WIDTH}" height="{bottom + 48}" fill="{PAPER}"/>',
        _text(32, 44, headline, size=24, more='font-weight="700"'),
        _text(32, 70, f"{below}; logarithmic axis", size=14, colour=QUIET),
    ]
    for value in _round_values(least, most):
        x = across(value)
        parts.append(f'<path d="M{x:.1f} {TOP - 12}V{bottom}" stroke="{GRID}"/>')
        parts.append(
            _text(x, bottom + 20, f"{value:,.0f}", size=12, colour=QUIET, more='text-anchor="middle"')
        )
    y = TOP
    for group in groups:
        parts.append(_text(32, y + 10, group.title, size=14, more='font-weight="600"'))
        y += 22
        for name, value in group.bars:
            parts.append(_text(LEFT - 10, y + 15, name, more='text-anchor="end"'))
            width = across(value) - LEFT
            parts.append(
                f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{ROW - 6}" rx="3"'
                f' fill="{colours[name]}"/>'
            )
            parts.append(_text(LEFT + width + 8, y + 15, f"{value:,.0f}", more='font-weight="600"'))
            y += ROW
        y += GAP
    return "\n".join([*parts, "</svg>"]) + "\n"


def _round_values(least: float, most: float) -> list[float]:
    """1, 2 and 5 times the powers of ten between."""
    powers = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    values = [nice * 10.0**power for power in powers for nice in (1, 2, 5)]
    return [value for value in values if least <= value <= most]


def _text(x: float, y: float, words: str, *, size: int = 13, colour: str = INK, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" {more}>{escape(words)}</text>'
