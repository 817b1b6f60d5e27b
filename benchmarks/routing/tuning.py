"""The same for every router: so many settings from its grid, on seeds that nothing is reported on.

The setting that loses least is kept. tuned.json has every setting that was tried, and what it lost.
"""

import json
from collections.abc import Iterator
from itertools import product
from multiprocessing.pool import Pool
from pathlib import Path
from random import Random
from statistics import mean
from typing import Any

from benchmarks.routing.routers import Settings
from benchmarks.routing.scenarios import SCENARIOS, TUNED_ON
from benchmarks.routing.simulate import run

TUNED = Path(__file__).with_name("tuned.json")
SETTINGS_TRIED = 8
_COHORTS: dict[str, list[Any]] = {
    "memory": [900.0, 1800.0],
    "surprise": [2.5, 3.0, 3.5],
    "prior": [10.0, 20.0, 40.0],
    "probing": [0.005, 0.01, 0.02],
    "in_flight": [0.05, 0.2],
}
_OUTCOMES: dict[str, list[Any]] = {"window": [25, 50, 125, 250], "hedging": [0.02, 0.05, 0.1]}
GRIDS: dict[str, dict[str, list[Any]]] = {
    "success rate": _OUTCOMES,
    "success rate + provisional": {**_OUTCOMES, "patience": [20.0, 40.0, 60.0]},
    "cohorts": _COHORTS,
}
# One thing taken away from ours, or added to it, and nothing else changed.
UNBOUND = "without bounds on buyers"
ABLATIONS = ("without delays", "without caps", "with a breaker", UNBOUND)


def settings_to_try(kind: str) -> list[Settings]:
    grid = GRIDS[kind]
    every = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    return Random(4).sample(every, SETTINGS_TRIED)


def _lost(job: tuple[str, Settings, int]) -> float:
    """Regret, the mean over the scenarios."""
    kind, settings, seed = job
    return mean(run(kind, settings, scenario.world(seed), seed).regret for scenario in SCENARIOS)


def tune(pool: Pool) -> None:
    found = dict(_tuned(pool))
    TUNED.write_text(json.dumps(found, indent=1) + "\n")


def _tuned(pool: Pool) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for kind in GRIDS:
        tries = settings_to_try(kind)
        jobs = [(kind, settings, seed) for settings in tries for seed in TUNED_ON]
        lost = pool.map(_lost, jobs, chunksize=1)
        means = [mean(lost[at : at + len(TUNED_ON)]) for at in range(0, len(lost), len(TUNED_ON))]
        best_first = sorted(zip(means, range(len(tries)), strict=True))
        rows = [{"regret": round(regret, 2), "settings": tries[at]} for regret, at in best_first]
        print(f"{kind:28} best {rows[0]['regret']:6.1f}, worst {rows[-1]['regret']:6.1f}", flush=True)
        yield kind, rows


def tuned(kind: str) -> Settings:
    """The setting that lost least; none for a router that has none. Ablations have ours."""
    rows = json.loads(TUNED.read_text()).get("cohorts" if kind in ABLATIONS else kind)
    settings: Settings = rows[0]["settings"] if rows else {}
    return settings
