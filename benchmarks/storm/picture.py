"""The run as one picture: a self-contained SVG, light, with both axes of every chart named."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from benchmarks.storm.processes import NOT_THE_SHOP
from benchmarks.storm.records import BuyerRecord
from benchmarks.storm.results import TIMEOUT, Results, cumulative, percentile, truthful_seconds

WIDTH, HEIGHT = 1200, 920
INK, QUIET, GRID, PAPER, CARD = "#1d2433", "#5c6678", "#e4e8ef", "#f6f7fa", "#ffffff"
# Told apart also by those who see few colours: Okabe and Ito's, darkened where text needs it.
CLICKS, TRUTH, HELD, SOLD = "#8a94a6", "#0072b2", "#c46a00", "#00785a"
FONT = "font-family=\"system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif\""

Point = tuple[float, float]


def text(x: float, y: float, words: str, *, size: int = 13, colour: str = INK, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" {more}>{escape(words)}</text>'


def card(x: float, y: float, width: float, height: float) -> str:
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="10" fill="{CARD}" stroke="{GRID}"/>'


def ticks(most: float, *, about: int = 5) -> list[float]:
    """0 and round numbers up to `most`."""
    if most <= 0:
        return [0.0]
    rough = most / about
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * nice for nice in (1, 2, 2.5, 5, 10) if power * nice >= rough)
    return [step * n for n in range(int(most / step + 1e-9) + 1)]


def short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:g}"


@dataclass(frozen=True)
class Chart:
    """A card with a title and a plot: data in, pixels out."""

    x: float
    y: float
    width: float
    height: float
    title: str
    x_label: str
    y_label: str
    x_most: float
    y_most: float

    @property
    def _left(self) -> float:
        return self.x + 74

    @property
    def _right(self) -> float:
        return self.x + self.width - 28

    @property
    def _top(self) -> float:
        return self.y + 58

    @property
    def _bottom(self) -> float:
        return self.y + self.height - 52

    def across(self, value: float) -> float:
        return self._left + (self._right - self._left) * min(value / self.x_most, 1.0)

    def up(self, value: float) -> float:
        return self._bottom - (self._bottom - self._top) * min(value / self.y_most, 1.0)

    def frame(
        self,
        x_ticks: Sequence[tuple[float, str]] | None = None,
        y_ticks: Sequence[tuple[float, str]] | None = None,
    ) -> str:
        parts = [
            card(self.x, self.y, self.width, self.height),
            text(self.x + 22, self.y + 32, self.title, size=16, more='font-weight="600"'),
        ]
        for value, words in y_ticks or [(t, short(t)) for t in ticks(self.y_most)]:
            y = self.up(value)
            parts.append(f'<path d="M{self._left:.1f} {y:.1f}H{self._right:.1f}" stroke="{GRID}"/>')
            parts.append(text(self._left - 8, y + 4, words, size=12, colour=QUIET, more='text-anchor="end"'))
        for value, words in x_ticks or [(t, short(t)) for t in ticks(self.x_most, about=8)]:
            x = self.across(value)
            parts.append(f'<path d="M{x:.1f} {self._bottom:.1f}v5" stroke="{QUIET}"/>')
            parts.append(
                text(x, self._bottom + 19, words, size=12, colour=QUIET, more='text-anchor="middle"')
            )
        middle = (self._left + self._right) / 2
        parts.append(
            text(middle, self._bottom + 39, self.x_label, size=12, colour=QUIET, more='text-anchor="middle"')
        )
        x, y = self.x + 18, (self._top + self._bottom) / 2
        turned = f'text-anchor="middle" transform="rotate(-90 {x:.1f} {y:.1f})"'
        parts.append(text(x, y, self.y_label, size=12, colour=QUIET, more=turned))
        parts.append(f'<path d="M{self._left:.1f} {self._bottom:.1f}H{self._right:.1f}" stroke="{QUIET}"/>')
        return "".join(parts)

    def curve(self, points: Sequence[Point], colour: str, *, steps: bool, dashed: bool = False) -> str:
        if not points:
            return ""
        path = f"M{self.across(points[0][0]):.1f} {self.up(points[0][1]):.1f}"
        for x, y in points[1:]:
            path += (
                f"H{self.across(x):.1f}V{self.up(y):.1f}"
                if steps
                else (f"L{self.across(x):.1f} {self.up(y):.1f}")
            )
        dash = ' stroke-dasharray="6 4"' if dashed else ""
        return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2.5"{dash}/>'

    def legend(self, entries: Sequence[tuple[str, str]]) -> str:
        """Beside the title, from the right, each in its colour."""
        x, parts = self._right, []
        for words, colour in reversed(entries):
            more = 'text-anchor="end" font-weight="600"'
            parts.append(text(x, self.y + 32, words, size=13, colour=colour, more=more))
            x -= 7.6 * len(words) + 24  # wider than the letters, since the font is the viewer's
            parts.append(f'<path d="M{x:.1f} {self.y + 27.5:.1f}h16" stroke="{colour}" stroke-width="3"/>')
            x -= 16
        return "".join(parts)


def draw(
    results: Results, buyers: Sequence[BuyerRecord], *, storm_at: float, spread: float, conditions: str
) -> str:
    """The whole picture. Time 0 is when the first could click; `spread` seconds later the last did."""
    figures = results.figures
    within = "one second" if spread == 1 else f"{spread:g} seconds"
    headline = f"{figures['buyers']:,} buyers, {figures['stock']:,} keys, {within}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {FONT} role="img">',
        f"<title>{escape(headline)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{PAPER}"/>',
        text(40, 52, headline, size=27, more='font-weight="700"'),
        text(40, 80, conditions, size=14, colour=QUIET),
        _numbers(figures),
        _answers(buyers, storm_at),
        _keys(buyers, storm_at, figures["stock"]),
        _latency(buyers),
        _cpu(figures),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _numbers(figures: dict[str, Any]) -> str:
    """What one would say if one had a single breath."""
    told = figures["buyers"] - figures["truths"].get("none", 0)
    ratio = figures["ordinary"]["ratio"]
    shown = [
        (f"{figures['keys']['distinct']:,}", "different keys sold"),
        (f"{told:,}", "buyers told the truth"),
        (f"{figures['truthful_s']['p50']:.2f} s", "half of them knew within"),
        (f"{figures['truthful_s']['p99']:.2f} s", "99 in 100 knew within"),
        (f"{figures['server_errors'] + figures['timeouts']}", "5xx answers and timeouts"),
        ("–" if ratio is None else f"{ratio:.1f} ×", "other products' p95"),
    ]
    width = (WIDTH - 80) / len(shown)
    return "".join(
        text(40 + n * width, 136, value, size=28, more='font-weight="700"')
        + text(40 + n * width, 158, words, size=13, colour=QUIET)
        for n, (value, words) in enumerate(shown)
    )


def _answers(buyers: Sequence[BuyerRecord], storm_at: float) -> str:
    clicks = [b.intended - storm_at for b in buyers]
    truthful = [b.truthful - storm_at for b in buyers if b.truthful is not None]
    end = max([*truthful, *clicks, 1.0]) * 1.03
    chart = Chart(
        40, 182, 640, 350, "Everybody at once", "seconds since the opening", "buyers", end, len(buyers) * 1.05
    )
    return (
        chart.frame()
        + chart.curve([(0, 0), *cumulative(clicks), (end, len(clicks))], CLICKS, steps=False)
        + chart.curve([(0, 0), *cumulative(truthful), (end, len(truthful))], TRUTH, steps=False)
        + chart.legend([("clicked", CLICKS), ("told the truth", TRUTH)])
    )


def _keys(buyers: Sequence[BuyerRecord], storm_at: float, stock: int) -> str:
    held = [b.held - storm_at for b in buyers if b.held is not None]
    keyed = [b.keyed - storm_at for b in buyers if b.keyed is not None]
    end = max([*held, *keyed, 1.0]) * 1.03
    most = max(len(held), stock, 1) * 1.08
    chart = Chart(40, 552, 640, 340, "From hold to key", "seconds since the opening", "keys", end, most)
    note = text(
        chart.across(end) - 6,
        chart.up(stock) - 7,
        f"{stock:,} in stock; holds not paid for pass down the line",
        size=12,
        colour=QUIET,
        more='text-anchor="end"',
    )
    return (
        chart.frame()
        + chart.curve([(0, stock), (end, stock)], QUIET, steps=False, dashed=True)
        + note
        + chart.curve([(0, 0), *cumulative(held), (end, len(held))], HELD, steps=True)
        + chart.curve([(0, 0), *cumulative(keyed), (end, len(keyed))], SOLD, steps=True)
        + chart.legend([("held", HELD), ("key in hand", SOLD)])
    )


def _latency(buyers: Sequence[BuyerRecord]) -> str:
    """Seconds by percentile, on an axis where every step to the right is a tenth of those left."""
    seconds = truthful_seconds(buyers)
    nines = math.log10(max(len(seconds), 10))
    most = max([*seconds, 0.1]) * 1.12
    chart = Chart(
        700,
        182,
        460,
        350,
        "Time to the first truthful answer",
        "percentile of buyers",
        "seconds",
        nines,
        most,
    )
    reach: Callable[[float], float] = lambda nine: percentile(seconds, 100 * (1 - 10**-nine))  # noqa: E731
    points = [(nine, reach(nine)) for nine in (n * nines / 160 for n in range(161))] if seconds else []
    named = [(0.0, "0"), (math.log10(2), "50"), (1.0, "90"), (2.0, "99"), (3.0, "99.9"), (4.0, "99.99")]
    marks = []
    for nine, _ in named[1:4]:
        if not seconds or nine > nines:
            continue
        x, y, value = chart.across(nine), chart.up(reach(nine)), reach(nine)
        marks.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{TRUTH}"/>')
        aside = 'text-anchor="end"' if nine >= 1 else ""  # on the left there is the axis
        x, y = (x - 4, y - 11) if nine >= 1 else (x + 4, y + 20)
        marks.append(text(x, y, f"{value:.2f} s", colour=TRUTH, more=f'{aside} font-weight="600"'))
    limit = chart.curve([(0, TIMEOUT), (nines, TIMEOUT)], QUIET, steps=False, dashed=True)
    return (
        chart.frame(x_ticks=[pair for pair in named if pair[0] <= nines])
        + (limit if most > TIMEOUT else "")
        + chart.curve(points, TRUTH, steps=False)
        + "".join(marks)
    )


def _cpu(figures: dict[str, Any]) -> str:
    used = {role: s for role, s in figures["cpu_seconds"].items() if s >= 0.05}
    used["generator"] = figures["generator"]["cpu_s"]
    bars = sorted(used.items(), key=lambda pair: -pair[1])[:9]
    x, y, width, height = 700, 552, 460, 340
    parts = [
        card(x, y, width, height),
        text(x + 22, y + 32, "CPU seconds, first click to last key", size=16, more='font-weight="600"'),
    ]
    most = max([s for _, s in bars] + [0.1])
    for n, (role, seconds) in enumerate(bars):
        top = y + 54 + n * 28
        ours = role not in (*NOT_THE_SHOP, "generator")
        length = 235 * seconds / most
        parts.append(text(x + 122, top + 14, role, more='text-anchor="end"'))
        parts.append(
            f'<rect x="{x + 132}" y="{top}" width="{max(length, 1):.1f}" height="19" rx="3" '
            f'fill="{TRUTH if ours else CLICKS}"/>'
        )
        parts.append(text(x + 140 + length, top + 14, f"{seconds:.1f} s", colour=QUIET))
    rate = figures["checkouts_per_cpu_second"]
    parts.append(
        text(
            x + 22,
            y + height - 18,
            f"Checkouts per CPU second of the shop (blue): {'–' if rate is None else f'{rate:.0f}'}",
            more='font-weight="600"',
        )
    )
    return "".join(parts)
