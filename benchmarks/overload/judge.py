"""Knee, windows and verdicts: pure arithmetic on what the generator and PostgreSQL recorded."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.overload.plan import Part
from benchmarks.results import Bar
from benchmarks.storm.records import BuyerRecord, OrdinaryRecord
from benchmarks.storm.results import (
    GENERATOR_SHARE,
    ORDINARY_LEAST,
    TIMEOUT,
    percentile,
    timed_out,
    truthful_seconds,
)

# The bars that were asked for.
OF_THE_PEAK = 0.9
BACK_WITHIN = 5.0  # seconds after the overload
ORDINARY_RATIO = 2.0
# What counts as back, in times of the p99 before: nobody gave a number, so the ordinary purchases' it is.
BACK = 2.0
RISE = 1.05  # more goodput than this times the best so far, or it has not risen
FLAT = 2  # steps in a row that have not: one alone may have been unlucky


@dataclass(frozen=True, kw_only=True)
class Step:
    """One rate of the ramp and what came of it."""

    rate: float  # clicks offered per second
    goodput: float  # orders committed per second
    p50: float
    p99: float
    never_told: int
    generator: float  # share of a core


def knee_of(steps: Sequence[Step]) -> Step | None:
    """The last step whose goodput had risen, once FLAT in a row have not; None until then.

    Where goodput is the rate up to what the shop can do, and that from then on, the knee's rate is at most
    RISE below the rate at which it stops rising, and may lie above it by the step's factor.
    """
    knee, best, flat = None, 0.0, 0
    for step in steps:
        if step.goodput >= RISE * best and step.goodput:
            knee, flat = step, 0
        else:
            flat += 1
        if flat == FLAT:
            return knee
        best = max(best, step.goodput)
    return None


def peak_of(steps: Sequence[Step]) -> float:
    return max((step.goodput for step in steps), default=0.0)


def per_second(moments: Sequence[float], start: float, end: float) -> float:
    """How many fall into the window, by its length."""
    return sum(start <= moment < end for moment in moments) / (end - start)


def clicked_within(buyers: Sequence[BuyerRecord], start: float, end: float) -> list[BuyerRecord]:
    return [buyer for buyer in buyers if start <= buyer.intended < end]


def ordinary_seconds(records: Sequence[OrdinaryRecord], part: Part) -> list[float]:
    """Of those that were due within the part; one that never ended counts as the timeout."""
    due = [record for record in records if part.start <= record.intended < part.end]
    return [TIMEOUT if record.seconds is None else record.seconds for record in due]


def p99_by_second(buyers: Sequence[BuyerRecord], start: float, end: float) -> list[float]:
    """Of those who clicked in each whole second from `start` on; NaN where nobody did."""
    return [
        percentile(truthful_seconds(clicked_within(buyers, start + second, start + second + 1)), 99)
        for second in range(int(end - start))
    ]


def limit_after(usual: float) -> float:
    """Seconds of p99 that count as back, by the p99 before; 0 if hardly anybody was told the truth then."""
    return BACK * usual if BACK * usual < TIMEOUT else 0.0


def came_back(by_second: Sequence[float], limit: float) -> int | None:
    """The first second from which on all are within the limit; None if the last one is not."""
    back = None
    for second in reversed(range(len(by_second))):
        if not by_second[second] <= limit:
            break
        back = second
    return back


def share_of_a_core(cpu_by_second: Sequence[float], start: float, end: float) -> float:
    """Mean of the whole seconds within the window; NaN if it has none."""
    seconds = cpu_by_second[math.ceil(start) : math.floor(end)]
    return sum(seconds) / len(seconds) if seconds else math.nan


@dataclass(frozen=True, kw_only=True)
class Observed:
    """The ramp, and everything that the overload has left behind. Moments: seconds after its start."""

    steps: list[Step]
    knee: Step
    before: Part
    overload: Part
    after: Part
    buyers: list[BuyerRecord]
    ordinary: list[OrdinaryRecord]
    committed: list[float]
    cpu_by_second: list[float]  # the generator's
    starved: int  # connections that it wanted and had no files for
    free: int  # units of the sale left over
    verified: Mapping[str, Sequence[str]]

    @property
    def parts(self) -> tuple[Part, Part, Part]:
        return self.before, self.overload, self.after


def judge(observed: Observed) -> tuple[dict[str, Any], list[Bar]]:
    """All figures, and the bars."""
    figures: dict[str, Any] = {
        "steps": [asdict(step) for step in observed.steps],
        "knee_rate": observed.knee.rate,
        "peak": peak_of(observed.steps),
        "parts": {part.name: _part_figures(observed, part) for part in observed.parts},
        "goodput": _goodput(observed),
        "p99": _recovery(observed),
        "ordinary": _ordinary(observed),
        "free": observed.free,
        "verify": {name: len(found) for name, found in observed.verified.items()},
    }
    return figures, _bars(figures, observed)


def _part_figures(observed: Observed, part: Part) -> dict[str, Any]:
    buyers = clicked_within(observed.buyers, part.start, part.end)
    took = truthful_seconds(buyers)
    statuses = sum((buyer.statuses for buyer in buyers), Counter[int]())
    return {
        "clicks": len(buyers),
        "offered": part.clicks / part.seconds,
        "goodput": per_second(observed.committed, part.start, part.end),
        "p50": percentile(took, 50),
        "p99": percentile(took, 99),
        "never_told": sum(map(timed_out, buyers)),
        "outcomes": dict(Counter(buyer.outcome for buyer in buyers)),
        "refusals": dict(Counter(buyer.refusal for buyer in buyers if buyer.refusal)),
        "statuses": {str(status): times for status, times in sorted(statuses.items())},
        "request_timeouts": sum(buyer.timeouts for buyer in buyers),
        "no_connection": sum(buyer.no_connection for buyer in buyers),
        "connection_lost": sum(buyer.lost for buyer in buyers),
        "retries": sum(buyer.retries for buyer in buyers),
        "generator": share_of_a_core(observed.cpu_by_second, part.start, part.end),
    }


def _goodput(observed: Observed) -> dict[str, float]:
    """In the overload, in times of the peak: in all of it, and without its first seconds."""
    part, peak = observed.overload, peak_of(observed.steps)
    settled = min(BACK_WITHIN, part.seconds / 2)
    return {
        "of_peak": per_second(observed.committed, part.start, part.end) / peak,
        "of_peak_later": per_second(observed.committed, part.start + settled, part.end) / peak,
    }


def _recovery(observed: Observed) -> dict[str, Any]:
    before, after = observed.before, observed.after
    usual = percentile(truthful_seconds(clicked_within(observed.buyers, before.start, before.end)), 99)
    later = clicked_within(observed.buyers, after.start + BACK_WITHIN, after.end)
    by_second = p99_by_second(observed.buyers, after.start, after.end)
    crowd = clicked_within(observed.buyers, observed.overload.start, observed.overload.end)
    last_held = max((buyer.held for buyer in crowd if buyer.held is not None), default=after.start)
    return {
        "before": usual,
        "after_5_s": percentile(truthful_seconds(later), 99),
        "by_second_after": by_second,
        "back_after_s": came_back(by_second, limit_after(usual)),
        "last_of_the_crowd_held_after_s": last_held - after.start,
    }


def _ordinary(observed: Observed) -> dict[str, Any]:
    took = {part.name: ordinary_seconds(observed.ordinary, part) for part in observed.parts}
    p95 = {name: percentile(seconds, 95) for name, seconds in took.items()}
    return {
        "counts": {name: len(seconds) for name, seconds in took.items()},
        "p50": {name: percentile(seconds, 50) for name, seconds in took.items()},
        "p95": p95,
        "ratio": p95[observed.overload.name] / p95[observed.before.name],
        "unfinished": sum(record.done is None for record in observed.ordinary),
        "retries": sum(record.retries for record in observed.ordinary),
        "server_errors": sum(record.server_errors for record in observed.ordinary),
    }


def _bars(figures: dict[str, Any], observed: Observed) -> list[Bar]:
    goodput, p99, ordinary = figures["goodput"], figures["p99"], figures["ordinary"]
    counts = ordinary["counts"]
    least = min(counts[observed.before.name], counts[observed.overload.name])
    busiest = max(part["generator"] for part in figures["parts"].values())
    back = p99["back_after_s"]
    when = "not back for good" if back is None else f"back for good after {back} s"
    checks, broken = len(observed.verified), sum(map(bool, observed.verified.values()))
    return [
        Bar(
            f"goodput in the overload {goodput['of_peak']:.2f} of the peak (at least {OF_THE_PEAK}; "
            f"{goodput['of_peak_later']:.2f} without its first {BACK_WITHIN:.0f} s)",
            goodput["of_peak"] >= OF_THE_PEAK,
        ),
        Bar(f"stock was never exhausted: {observed.free} units left", observed.free > 0),
        Bar(
            f"p99 from {BACK_WITHIN:.0f} s after the overload {p99['after_5_s']:.2f} s, before it "
            f"{p99['before']:.2f} s (at most {BACK:g} times); {when}",
            p99["after_5_s"] <= limit_after(p99["before"]),
        ),
        Bar(
            f"ordinary purchases: p95 {ordinary['ratio']:.2f} times that of before (at most "
            f"{ORDINARY_RATIO:g}; {least} of them at least, {ordinary['unfinished']} unfinished)",
            ordinary["ratio"] <= ORDINARY_RATIO and least >= ORDINARY_LEAST and not ordinary["unfinished"],
        ),
        Bar(f"verify: {checks - broken} of {checks} checks hold", checks > 0 and not broken),
        Bar(
            f"the generator took {busiest:.0%} of a core (at most {GENERATOR_SHARE:.0%}) and wanted "
            f"{observed.starved} connections too many",
            busiest <= GENERATOR_SHARE and not observed.starved,
        ),
    ]
