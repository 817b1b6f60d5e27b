"""`make bench-routing`: every router through every scenario on the reported seeds, as tuned.json sets it.

`--tune` chooses those settings anew, on other seeds. `--quick` takes two seeds: a look at whether it runs.
"""

import argparse
import os
import sys
import time
from collections import defaultdict
from dataclasses import asdict
from multiprocessing import Pool

from benchmarks.results import save
from benchmarks.routing import picture, table
from benchmarks.routing.scenarios import REPORTED_ON, SCENARIOS
from benchmarks.routing.simulate import Run, run
from benchmarks.routing.tuning import ABLATIONS, UNBOUND, tune, tuned

ROUTERS = [
    "oracle",
    "best fixed",
    "round robin",
    "success rate, as described",
    "success rate",
    "success rate + provisional",
    "cohorts",
]
# Where there is something to be seen: each costs as much as ours.
ABLATED_ON = ("silent outage", "flash burst", "correlated outage", "other delays", "adversary")
UNBOUND_ON = ("adversary", "botnet")


def _run_all(seed: int) -> list[tuple[str, str, Run]]:
    """Every router through the very same worlds."""
    done: list[tuple[str, str, Run]] = []
    for scenario in SCENARIOS:
        world = scenario.world(seed)
        done += [
            (scenario.name, router, run(router, tuned(router), world, seed))
            for router in _routers_for(scenario.name)
        ]
    return done


def _routers_for(scenario: str) -> list[str]:
    ablations = [name for name in ABLATIONS if scenario in (UNBOUND_ON if name == UNBOUND else ABLATED_ON)]
    return [*ROUTERS, *ablations]


def measure(seeds: list[int], processes: int) -> table.Runs:
    runs: dict[str, dict[str, list[Run]]] = {scenario.name: defaultdict(list) for scenario in SCENARIOS}
    began = time.monotonic()
    with Pool(processes) as pool:
        for number, done in enumerate(pool.imap(_run_all, seeds), start=1):
            for scenario, router, one in done:
                runs[scenario][router].append(one)
            print(f"seed {number} of {len(seeds)}, {time.monotonic() - began:.0f} s", flush=True)
    return runs


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.routing", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two seeds")
    parser.add_argument(
        "--tune", action="store_true", help="choose the settings anew and keep them in tuned.json"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    if asked.tune:
        with Pool(asked.processes) as pool:
            tune(pool)
        return 0
    seeds = list(REPORTED_ON)[:2] if asked.quick else list(REPORTED_ON)
    runs = measure(seeds, asked.processes)
    _tell(runs)
    figures = {
        "seeds": seeds,
        "settings": {router: tuned(router) for router in ROUTERS},
        "bars": [asdict(bar) for bar in table.bars(runs)],
        "lost_to": table.lost_to(runs),
        "rows": table.rows(runs),
    }
    save("routing", figures, table.single_runs(runs, seeds), picture.draw(runs, seeds=len(seeds)))
    return 0


def _tell(runs: table.Runs) -> None:
    print("\nPayments lost to the choice of channel, in 1,000\n")
    print(table.regret_table(runs))
    details = ("hard outage", "silent outage", "flash burst", "tiny traffic", "correlated outage")
    print("\n" + table.detail_table(runs, details, ("oracle", *picture.SHOWN)) + "\n")
    for line in table.lost_to(runs):
        print(f"lost: {line}")
    for bar in table.bars(runs):
        print(bar)


if __name__ == "__main__":
    sys.exit(main())
