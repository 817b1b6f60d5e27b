"""`make bench-resellers`: orders of one key each by API, counted as rows, beside pretix's in the same run.
Exit code 1 if a bar is missed. Without --pretix only ours are measured.
"""

import argparse
import http.client
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from itertools import repeat
from pathlib import Path
from typing import Any

from benchmarks.closed_load import Load, compile_load, write_requests
from benchmarks.own_servers import RESULTS
from benchmarks.resellers.pretix import Pretix
from benchmarks.resellers.shop import OurShop
from benchmarks.results import Bar, save

PRETIX, AT_ONCE, LATER, BATCH = "pretix", "keys in the answer", "202, each", "202, by the batch"
AT_LEAST = {AT_ONCE: 8.0, BATCH: 25.0}  # times pretix, by issue 7
MOST_PER_SECOND = {PRETIX: 200, AT_ONCE: 1_000, LATER: 2_500, BATCH: 200}  # requests

WAYS = {AT_ONCE: OurShop.orders_at_once, LATER: OurShop.orders_for_later, BATCH: OurShop.batches}


def main() -> int:
    options = _options()
    say("keys, a reseller, and what it calls")
    most = {name: int(rate * (options.seconds)) for name, rate in MOST_PER_SECOND.items()}
    ours = OurShop(options.keys)
    theirs = Pretix(options.pretix) if options.pretix else None
    load = Load(compile_load(RESULTS / "load"), options.connections, warm_up=0.0, seconds=options.seconds)
    rows = []
    with ExitStack() as running:
        running.enter_context(ours.running(options.workers))
        if theirs:
            running.enter_context(theirs.running(options.workers))
            _wake_up(theirs)
        for number in range(options.rounds + 1):
            for name in (PRETIX, AT_ONCE, LATER, BATCH)[0 if theirs else 1 :]:
                if name == PRETIX and theirs:
                    row = measure(load, theirs.port, repeat(theirs.request, most[name]), theirs.orders)
                else:
                    requests = WAYS[name](ours, most[name])
                    row = measure(load, ours.port, requests, ours.orders, ours.wait_until_filled)
                if number:  # the first woke everybody up
                    rows.append({"round": number, "way": name, **row})
                    say(f"round {number}: {name:<20}{row}")
    return _tell(rows, options)


def measure(
    load: Load,
    port: int,
    requests: Iterable[bytes],
    orders: Callable[[], int],
    finish: Callable[[], object] = lambda: None,
) -> dict[str, Any]:
    """Orders a second from the first request until the last of them is committed; `cpu_ms` is what all
    processes of this machine spent on one, but for the load itself.
    """
    file = RESULTS / "requests"
    write_requests(file, requests)
    before, busy, began = orders(), _busy_seconds(), time.monotonic()
    said = load.on(port, file)
    finish()
    took, busy = time.monotonic() - began, _busy_seconds() - busy
    made = orders() - before
    if unexpected := set(said["statuses"]) - {"201", "202"}:
        raise RuntimeError(f"answered {unexpected}: {said}")
    return {
        "per_second": round(made / took, 1),
        "cpu_ms": round(1000 * (busy - said["cpu_s"]) / made, 2),
        "p50_ms": round(1000 * said["p50_s"], 1),
        "p99_ms": round(1000 * said["p99_s"], 1),
    }


def _busy_seconds() -> float:
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    idle = fields[3] + fields[4]
    return (sum(fields[:8]) - idle) / 100  # USER_HZ


def _wake_up(pretix: Pretix) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        line = http.client.HTTPConnection("127.0.0.1", pretix.port, timeout=60)
        try:
            line.request("GET", "/healthcheck/")
            line.getresponse()
            return
        except OSError:
            time.sleep(0.5)
        finally:
            line.close()
    raise RuntimeError("pretix does not answer")


def _tell(rows: list[dict[str, Any]], options: argparse.Namespace) -> int:
    medians = {
        name: {
            what: statistics.median(row[what] for row in rows if row["way"] == name)
            for what in ("per_second", "cpu_ms")
        }
        for name in dict.fromkeys(row["way"] for row in rows)
    }
    bars = []
    for name, of_ours in medians.items():
        say(f"{name:<20}{of_ours['per_second']:>9.1f} orders/s {of_ours['cpu_ms']:>8.2f} ms of CPU each")
        if name in AT_LEAST and PRETIX in medians:
            times = of_ours["per_second"] / medians[PRETIX]["per_second"]
            bars.append(
                Bar(f"{name} ÷ pretix: {times:.1f}, at least {AT_LEAST[name]:.0f}", times >= AT_LEAST[name])
            )
    for bar in bars:
        say(str(bar))
    save("resellers", {"medians": medians, "options": vars(options)}, rows)
    return 0 if all(bar.holds for bar in bars) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.resellers", description=__doc__)
    parser.add_argument("--pretix", type=Path, help="the virtual environment that it is installed in")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="counted in each round")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2, help="web processes of each")
    parser.add_argument("--keys", type=int, default=120_000)
    return parser.parse_args()


def say(text: str) -> None:
    print(f"resellers: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
