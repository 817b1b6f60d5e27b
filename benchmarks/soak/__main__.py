"""python -m benchmarks.soak [--storms 20] [--seed N] [--bug NAME]: exit code 1 if any storm is red."""

import argparse
import json
import secrets
import shutil
import sys
import time
from dataclasses import asdict

from benchmarks.soak.plan import plan_storm
from benchmarks.soak.planted.bugs import BUGS, DROPPED, environment
from benchmarks.soak.stack import Stack
from benchmarks.soak.storm import Result, run_storm
from tests.stack import REPOSITORY, RunningShop

PLACE = REPOSITORY / "var" / "soak"
STORMS = 20
SHOWN = 12


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--storms", type=int, default=STORMS)
    parser.add_argument(
        "--seed", type=int, help="of the first storm; the next ones follow it. The same seed, the same storm"
    )
    parser.add_argument(
        "--bug", choices=BUGS, help="a control: plant this bug, and stop at the first storm that is red"
    )
    options = parser.parse_args()
    first = secrets.randbelow(10**6) if options.seed is None else options.seed
    shutil.rmtree(PLACE, ignore_errors=True)
    results: list[Result] = []
    began = time.monotonic()
    with RunningShop(PLACE / "shop", environment=environment(options.bug)) as shop:
        stack = Stack(shop)
        for statement in DROPPED.get(options.bug, ()):
            stack.query(statement)
        say(f"{options.storms} storms from seed {first}" + (f", with {options.bug}" if options.bug else ""))
        for seed in range(first, first + options.storms):
            results.append(result := run_storm(stack, plan_storm(seed)))
            say(result.line)
            say(f"  ends {result.ends}, answers {result.answers}")
            for wrong in result.wrong[:SHOWN]:
                say(f"  {wrong}")
            _save(first, options.bug, results)
            if (options.bug and result.wrong) or result.unrepaired:
                break
    red = [result.seed for result in results if result.wrong]
    verdict = f"red: {red}" if red else "all ok"
    say(f"{len(results)} storms in {time.monotonic() - began:.0f} s, {verdict}")
    return 1 if red else 0


def _save(first: int, bug: str | None, results: list[Result]) -> None:
    summary = {"seed": first, "bug": bug, "storms": [asdict(result) for result in results]}
    (PLACE / "results.json").write_text(json.dumps(summary, indent=1, ensure_ascii=False))


def say(text: str) -> None:
    print(f"soak: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
