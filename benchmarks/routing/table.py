"""From runs to figures: means over seeds, with intervals, and what is to be said of them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import mean, median, stdev
from typing import Any

from benchmarks.results import Bar
from benchmarks.routing.simulate import Run

# Student's t, two-sided 95 %, for 31 and for few degrees of freedom.
_T_MANY, _T_FEW = 2.04, 4.3
OURS = "cohorts"
PLAIN, PROVISIONAL = "success rate", "success rate + provisional"

Runs = Mapping[str, Mapping[str, Sequence[Run]]]  # by scenario, by router; seeds in one order everywhere


@dataclass(frozen=True)
class Mean:
    """A mean over seeds; `half` is half of its 95 % interval."""

    value: float
    half: float

    def __str__(self) -> str:
        return f"{self.value:.1f} ± {self.half:.1f}"


def mean_of(values: Sequence[float]) -> Mean:
    if len(values) < 2:
        return Mean(mean(values), math.inf)
    t = _T_MANY if len(values) >= 30 else _T_FEW
    return Mean(mean(values), t * stdev(values) / math.sqrt(len(values)))


def regret(runs: Sequence[Run]) -> Mean:
    return mean_of([run.regret for run in runs])


def regret_over_all(runs: Runs, router: str) -> list[float]:
    """The mean over the scenarios, seed by seed: all scenarios weigh the same."""
    return [
        mean(one.regret for one in of_seed)
        for of_seed in zip(*(by[router] for by in runs.values()), strict=True)
    ]


def difference(runs: Runs, router: str, other: str) -> Mean:
    """How much more `router` loses than `other`, in the same worlds."""
    pairs = zip(regret_over_all(runs, router), regret_over_all(runs, other), strict=True)
    return mean_of([one - another for one, another in pairs])


def bars(runs: Runs) -> list[Bar]:
    ours, plain = mean(regret_over_all(runs, OURS)), mean(regret_over_all(runs, PLAIN))
    halved = mean_of(
        [
            one - another / 2
            for one, another in zip(regret_over_all(runs, OURS), regret_over_all(runs, PLAIN), strict=True)
        ]
    )
    below = difference(runs, OURS, PROVISIONAL)
    return [
        Bar(
            f"regret {ours:.1f} in 1,000, at most half of the tuned success rate's {plain:.1f}"
            f" (above its half by {halved})",
            halved.value <= 0,
        ),
        Bar(
            f"less than the success rate with the provisional signal, tuned: by {-below.value:.1f}"
            f" ± {below.half:.1f}",
            below.value < 0,
        ),
    ]


def lost_to(runs: Runs) -> list[str]:
    """Where somebody without hindsight does better than we do, beyond chance."""
    lines = []
    for scenario, by_router in runs.items():
        for router, theirs in by_router.items():
            if router in (OURS, "oracle", "best fixed"):
                continue
            more = mean_of(
                [one.regret - other.regret for one, other in zip(by_router[OURS], theirs, strict=True)]
            )
            if more.value > more.half:
                lines.append(f"{scenario}: {more} more than {router}")
    return lines


def rows(runs: Runs) -> list[dict[str, Any]]:
    """One for each scenario and router."""
    return [
        {"scenario": scenario, "router": router, **_figures(of_one)}
        for scenario, by_router in runs.items()
        for router, of_one in by_router.items()
    ]


def single_runs(runs: Runs, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """One for each scenario, router and seed."""
    return [
        {"scenario": scenario, "router": router, "seed": seed}
        | {name: value for name, value in asdict(run).items() if name != "minutes"}
        for scenario, by_router in runs.items()
        for router, of_one in by_router.items()
        for seed, run in zip(seeds, of_one, strict=True)
    ]


def _figures(runs: Sequence[Run]) -> dict[str, float | None]:
    lost = regret(runs)

    def middle(of: Callable[[Run], float | None]) -> float | None:
        values = [value for run in runs if (value := of(run)) is not None]
        return round(median(values), 1) if values else None

    return {
        "regret": round(lost.value, 2),
        "regret_half_interval": round(lost.half, 2),
        "paid_percent": round(100 * mean(run.paid for run in runs), 2),
        "to_dead_percent": round(100 * mean(run.to_dead for run in runs), 2),
        "twice_percent": round(100 * mean(run.twice for run in runs), 2),
        "detected_seconds": middle(lambda run: run.detected),
        "recovered_seconds": middle(lambda run: run.recovered),
        "detections_seen": sum(run.detected is not None for run in runs),
        "worst_minute": middle(lambda run: run.worst_minute),
        "decision_microseconds": round(median(run.microseconds for run in runs), 1),
    }


def regret_table(runs: Runs) -> str:
    """In Markdown: scenarios down, routers across, regret in 1,000."""
    routers = list(dict.fromkeys(router for by_router in runs.values() for router in by_router))
    routers.remove("oracle")
    lines = ["| | " + " | ".join(routers) + " |", "|---" * (len(routers) + 1) + "|"]
    for scenario, by_router in runs.items():
        cells = [str(regret(by_router[router])) if router in by_router else "" for router in routers]
        lines.append(f"| {scenario} | " + " | ".join(cells) + " |")
    everywhere = [router for router in routers if all(router in by for by in runs.values())]
    cells = [
        f"**{mean_of(regret_over_all(runs, router))}**" if router in everywhere else "" for router in routers
    ]
    return "\n".join([*lines, "| **all** | " + " | ".join(cells) + " |"])


def detail_table(runs: Runs, scenarios: Sequence[str], routers: Sequence[str]) -> str:
    """The other figures, for a few."""
    names = {
        "paid_percent": "paid %",
        "to_dead_percent": "to dead %",
        "twice_percent": "twice %",
        "detected_seconds": "detected s",
        "recovered_seconds": "recovered s",
        "worst_minute": "worst minute",
        "decision_microseconds": "decision µs",
    }
    lines = ["| | | " + " | ".join(names.values()) + " |", "|---" * (len(names) + 2) + "|"]
    for scenario in scenarios:
        for router in routers:
            figures = _figures(runs[scenario][router])
            cells = ["" if figures[name] is None else f"{figures[name]:.1f}" for name in names]
            lines.append(f"| {scenario} | {router} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
