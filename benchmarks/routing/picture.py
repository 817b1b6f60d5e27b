"""Regret by scenario and router, and minute by minute in the flash burst: one self-contained SVG."""

from collections.abc import Sequence
from statistics import mean

from benchmarks.routing.table import OURS, PLAIN, PROVISIONAL, Runs, mean_of, regret, regret_over_all
from benchmarks.storm.picture import FONT, INK, PAPER, QUIET, Chart, text

SHOWN = {PLAIN: "#8a94a6", PROVISIONAL: "#c46a00", OURS: "#0072b2"}
_PANELS = ("silent outage", "flash burst")
_ROW, _TOP, _WIDTH, _LEFT, _BAR = 62, 130, 1200, 220, 14


def draw(runs: Runs, *, seeds: int) -> str:
    bottom = _TOP + _ROW * (len(runs) + 1)
    height = bottom + 440
    headline = "Payments lost to the choice of channel, in 1,000"
    below = f"against who always knows the best channel; mean of {seeds} seeds with 95 % intervals"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" {FONT} role="img">',
        f"<title>{headline}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="{PAPER}"/>',
        text(32, 44, headline, size=24, colour=INK, more='font-weight="700"'),
        text(32, 70, below, size=14, colour=QUIET),
        *_legend(),
        *_bars(runs),
    ]
    for at, scenario in enumerate(_PANELS):
        parts.append(_by_minute(runs, scenario, x=32 + at * 576, y=bottom + 20))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _legend() -> list[str]:
    parts, x = [], 32.0
    for name, colour in SHOWN.items():
        words = f"{name} (ours)" if name == OURS else name
        parts.append(f'<rect x="{x}" y="88" width="14" height="14" rx="3" fill="{colour}"/>')
        parts.append(text(x + 20, 100, words))
        x += 40 + 7.5 * len(words)
    return parts


def _bars(runs: Runs) -> list[str]:
    rows = {scenario: {name: regret(by[name]) for name in SHOWN} for scenario, by in runs.items()}
    rows["all scenarios"] = {name: mean_of(regret_over_all(runs, name)) for name in SHOWN}
    most = max(one.value + one.half for row in rows.values() for one in row.values())
    scale = (_WIDTH - _LEFT - 100) / most
    parts = []
    for at, (scenario, row) in enumerate(rows.items()):
        y = _TOP + at * _ROW
        parts.append(text(_LEFT - 12, y + 28, scenario, more='text-anchor="end" font-weight="600"'))
        for line, (name, colour) in enumerate(SHOWN.items()):
            one, top = row[name], y + line * (_BAR + 3)
            low = _LEFT + max(one.value - one.half, 0) * scale
            high, middle = _LEFT + (one.value + one.half) * scale, top + _BAR / 2
            parts.append(
                f'<rect x="{_LEFT}" y="{top}" width="{one.value * scale:.1f}" height="{_BAR}" rx="3"'
                f' fill="{colour}"/>'
                f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="{INK}" stroke-width="1.5"/>'
            )
            parts.append(text(high + 8, top + 11, f"{one.value:.0f}", size=12, colour=QUIET))
    return parts


def _by_minute(runs: Runs, scenario: str, *, x: float, y: float) -> str:
    curves = {name: _mean_minutes([run.minutes for run in runs[scenario][name]]) for name in SHOWN}
    most = max(value for curve in curves.values() for value in curve)
    length = len(curves[OURS])
    chart = Chart(
        x, y, 560, 390, f"{scenario.capitalize()}, minute by minute", "minutes", "lost in 1,000", length, most
    )
    lines = [chart.curve(list(enumerate(curve)), SHOWN[name], steps=True) for name, curve in curves.items()]
    return "".join([chart.frame(), *lines])


def _mean_minutes(minutes: Sequence[Sequence[float]]) -> list[float]:
    """The last one is cut short by the end of the run and left out."""
    return [mean(column) for column in zip(*minutes, strict=True)][:-1]
