"""Offered rate against goodput, and the overload second by second: one self-contained SVG."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from benchmarks.overload.judge import BACK, Observed, p99_by_second, per_second
from benchmarks.storm.picture import CLICKS, FONT, GRID, HELD, INK, PAPER, QUIET, SOLD, TRUTH, Chart, text

WIDTH, HEIGHT = 1200, 850


def draw(figures: dict[str, Any], observed: Observed, *, conditions: str) -> str:
    part = figures["parts"][observed.overload.name]
    headline = f"{part['offered']:,.0f} clicks a second where {figures['peak']:,.0f} can be served"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {FONT} role="img">',
        f"<title>{escape(headline)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{PAPER}"/>',
        text(40, 52, headline, size=27, more='font-weight="700"'),
        text(40, 80, conditions, size=14, colour=QUIET),
        _goodput(figures, observed),
        _seconds(observed),
        _p99(figures, observed),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _goodput(figures: dict[str, Any], observed: Observed) -> str:
    part = figures["parts"][observed.overload.name]
    ramp = [(step.rate, step.goodput) for step in observed.steps]
    offered = max(part["offered"], *(step.rate for step in observed.steps)) * 1.05
    most = max(figures["peak"], part["goodput"]) * 1.15
    chart = Chart(
        40, 104, 460, 720, "What more clicks bring", "clicks offered a second", "orders/s", offered, most
    )
    served = min(most, offered)
    x, y = chart.across(part["offered"]), chart.up(part["goodput"])
    knee = chart.across(observed.knee.rate)
    return (
        chart.frame()
        + chart.curve([(0, 0), (served, served)], GRID, steps=False, dashed=True)
        + chart.curve([*ramp, (part["offered"], part["goodput"])], QUIET, steps=False, dashed=True)
        + chart.curve(ramp, SOLD, steps=False)
        + "".join(_dot(chart, *point, SOLD) for point in ramp)
        + _dot(chart, part["offered"], part["goodput"], HELD)
        + text(x, y - 14, f"{part['goodput']:,.0f}", colour=HELD, more='text-anchor="end" font-weight="600"')
        + text(knee + 8, chart.up(observed.knee.goodput) + 24, f"knee: {observed.knee.rate:,.0f}", colour=INK)
        + chart.legend([("ramp", SOLD), ("overload", HELD)])
    )


def _dot(chart: Chart, x: float, y: float, colour: str) -> str:
    return f'<circle cx="{chart.across(x):.1f}" cy="{chart.up(y):.1f}" r="4.5" fill="{colour}"/>'


def _seconds(observed: Observed) -> str:
    """Orders of each second. Clicks would hide them: they are told of in the headline."""
    end = observed.after.end
    orders = [per_second(observed.committed, at, at + 1) for at in map(float, range(int(end)))]
    peak = max(step.goodput for step in observed.steps)
    most = max([*orders, peak]) * 1.15
    chart = Chart(520, 104, 640, 350, "Orders in each second", "seconds", "orders/s", end, most)
    return (
        chart.frame()
        + chart.curve([(0, peak), (end, peak)], QUIET, steps=False, dashed=True)
        + _borders(chart, observed)
        + chart.curve([(at + 0.5, value) for at, value in enumerate(orders)], SOLD, steps=False)
        + chart.legend([("committed", SOLD), ("peak of the ramp", QUIET)])
    )


def _p99(figures: dict[str, Any], observed: Observed) -> str:
    end, limit = observed.after.end, BACK * figures["p99"]["before"]
    by_second = p99_by_second(observed.buyers, 0.0, end)
    known = [(at + 0.5, value) for at, value in enumerate(by_second) if not math.isnan(value)]
    most = max([limit, *(value for _, value in known)]) * 1.12
    chart = Chart(
        520,
        474,
        640,
        350,
        "Told the truth, by the second of the click",
        "seconds",
        "p99, s",
        end,
        most,
    )
    return (
        chart.frame()
        + chart.curve([(0, limit), (end, limit)], QUIET, steps=False, dashed=True)
        + _borders(chart, observed)
        + chart.curve(known, TRUTH, steps=False)
        + chart.legend([("p99", TRUTH), (f"{BACK:g} × before", QUIET)])
    )


def _borders(chart: Chart, observed: Observed) -> str:
    """Where the overload begins and ends."""
    most = chart.y_most
    moments: Sequence[float] = (observed.overload.start, observed.overload.end)
    return "".join(chart.curve([(at, 0), (at, most)], CLICKS, steps=False, dashed=True) for at in moments)
