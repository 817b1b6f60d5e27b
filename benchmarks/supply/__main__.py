"""python -m benchmarks.supply [--rounds 3]: exit code 1 if anything is wrong afterwards."""

import argparse
import shutil
import sys
import time

from benchmarks.supply import steps
from benchmarks.supply.judge import wrongs
from benchmarks.supply.pair import Pair
from tests.stack import REPOSITORY

PLACE = REPOSITORY / "var" / "soak-supply"
ROUNDS = 3


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.supply", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    shutil.rmtree(PLACE, ignore_errors=True)
    began = time.monotonic()
    with Pair(PLACE / "here", PLACE / "there", keys=20 * options.rounds) as pair:
        say(f"{pair.here.shop.url} sells what {pair.there.shop.url} has")
        served: list[str] = []
        refused: list[str] = []
        for number in range(1, options.rounds + 1):
            say(f"round {number} of {options.rounds}")
            refused.append(pair.buyer.buy("goods-dear"))
            kills = (Pair.kill_web_there, Pair.kill_all_there)
            served += [taken(pair, step, kill) for kill in kills for step in steps.THERE]
            served += [taken(pair, step, Pair.kill_web_there) for step in steps.OTHERS]
        for token in refused:
            pair.wait_until(token, status="refunded")
        found = wrongs(pair, served, refused)
    for wrong in found:
        say(wrong)
    verdict = f"{len(found)} things are wrong" if found else "all ok"
    say(f"{len(served)} purchases in {time.monotonic() - began:.0f} s, {verdict}")
    return 1 if found else 0


def taken(pair: Pair, step: steps.Step, kill: steps.Kill) -> str:
    began = time.monotonic()
    token = steps.take(pair, step, kill)
    say(f"  {step.__name__}, {getattr(kill, '__name__', '')}: {time.monotonic() - began:.1f} s")
    return token


def say(text: str) -> None:
    print(f"supply: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
