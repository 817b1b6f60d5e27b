"""`make storm`: 10,000 buyers, 1,000 keys, one second, against everything `make run` starts."""

import argparse
import csv
import json
import os
import secrets
import shutil
import sys
import time
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from benchmarks.storm.books import read_books
from benchmarks.storm.build import NoCompiler, compile_generator
from benchmarks.storm.pages import OpenedPage, Visitor, open_pages
from benchmarks.storm.picture import draw
from benchmarks.storm.plan import Shape, address_of, write_plan
from benchmarks.storm.processes import CpuSamples, CpuWatch
from benchmarks.storm.reached import read_reached
from benchmarks.storm.records import BuyerRecord, read_buyers, read_ordinary
from benchmarks.storm.results import ORDINARY_LEAST, Observed, Results, as_json, checkouts_bar, judge, rows
from benchmarks.storm.running import VOID, generate
from benchmarks.storm.stage import HOLD_SECONDS, ORDINARY, PATIENT_HOLD_SECONDS, STORM, furnish, new_keys
from benchmarks.storm.table import table
from tests.gateways import Gateway
from tests.stack import REPOSITORY, RunningShop

PATIENCE = 240.0  # seconds that a buyer stays in line, from the first click on
SETTLING = 60.0  # seconds granted after the storm until the books must be in order
# All addresses that the generator may call from; the buyers' own come in X-Forwarded-For.
ENVIRONMENT = {"TRUSTED_PROXIES": "127.0.0.0/8"}
LATE = 2000
NAIVE = {"STOCK_STRATEGY": "pessimistic"}


def main() -> int:
    options = _options()
    shape = _shape(options)
    var: Path = options.var.resolve()
    try:
        program = compile_generator(var / "build")
    except NoCompiler as error:
        say(str(error))
        return 1
    say(f"{shape.buyers} buyers, {options.keys} keys, seed {shape.seed} (--seed {shape.seed} repeats it)")
    naive = _storm(program, shape, options.keys, var=var, naive=True)[0] if options.checkouts else None
    results, observed, void = _storm(program, shape, options.keys, var=var, gateway=options.gateway)
    if naive:
        results.bars.append(checkouts_bar(results.figures, naive.figures))
    _save(var, results, observed.buyers, shape)
    print(table(results), flush=True)
    for bar in results.bars:
        print(bar, flush=True)
    say(f"saved in {_shown(var)}: results.json, results.csv, storm.svg, buyers.tsv, ordinary.tsv")
    if void:
        say("VOID: the generator itself was the bottleneck (see above); these figures say nothing")
        return VOID
    return 0 if results.passed else 1


def _storm(
    program: Path, shape: Shape, keys: int, *, var: Path, naive: bool = False, gateway: bool = False
) -> tuple[Results, Observed, bool]:
    """A storm against a shop of its own. The naive one locks the stock's row for every click."""
    shutil.rmtree(var / "shop", ignore_errors=True)
    environment = ENVIRONMENT | (NAIVE if naive else {})
    shop = RunningShop(var / "shop", environment=environment)
    with shop, Gateway(shop) if gateway else nullcontext() as entrance:
        observed, void = _run(
            shop, program, shape, keys=new_keys(keys), var=var, naive=naive, gateway=entrance
        )
    return judge(observed), observed, void


def _options() -> argparse.Namespace:
    told = os.environ.get
    parser = argparse.ArgumentParser("make storm", description=__doc__)
    add = parser.add_argument
    add("--buyers", type=int, default=told("STORM_BUYERS", "10000"))
    add("--keys", type=int, default=told("STORM_KEYS", "1000"))
    add("--seed", type=int, default=told("STORM_SEED") or str(secrets.randbelow(10**6)))
    add("--spread", type=float, default=1.0, help="seconds over which the clicks arrive")
    add("--abandoning", type=float, default=0.2, help="share of the buyers who hold and never pay")
    add("--ordinary-rate", type=float, default=20.0, help="purchases/s of another product; 0: none")
    add("--checkouts", action="store_true", help="every buyer buys: as many as keys, no other traffic")
    add("--gateway", action="store_true", help="through the gateway; then 2,000 more click when it is over")
    add("--var", type=Path, default=REPOSITORY / "var" / "storm", help="where shop and results go")
    return parser.parse_args()


def _shape(options: argparse.Namespace) -> Shape:
    mixed = not options.checkouts
    return Shape(
        buyers=options.buyers if mixed else options.keys,
        seed=options.seed,
        spread=options.spread,
        abandoning=options.abandoning if mixed else 0,
        doubling=0.05 if mixed else 0,
        hammering=0.02 if mixed else 0,
        ordinary_rate=options.ordinary_rate if mixed else 0,
        ordinary_each=ORDINARY_LEAST,
        hold_seconds=HOLD_SECONDS if mixed else PATIENT_HOLD_SECONDS,
        late=LATE if options.gateway else 0,
    )


def _run(
    shop: RunningShop,
    program: Path,
    shape: Shape,
    *,
    keys: list[str],
    var: Path,
    naive: bool,
    gateway: Gateway | None,
) -> tuple[Observed, bool]:
    """The storm and everything read afterwards, and whether the generator found itself too slow."""
    furnish(
        shop,
        keys=keys,
        ordinary_keys=shape.ordinary_count,
        hold_seconds=shape.hold_seconds,
        queued=not naive,
        say=say,
    )
    web_url, hot_url = (gateway.url, gateway.url) if gateway else (shop.url, shop.hot_url)
    storm = _opened(web_url, STORM, shape.buyers + shape.late, network=32)
    ordinary = _opened(web_url, ORDINARY, shape.ordinary_count, network=16)
    write_plan(var / "plan.tsv", shape, storm=storm, ordinary=ordinary)
    say(f"the storm breaks in {shape.storm_at:.0f} s")
    with CpuWatch(shop.pid, pools=shop.pools) as watch:
        counts = generate(
            program,
            var=var,
            hot_url=hot_url,
            web_url=web_url,
            deadline=shape.storm_at + PATIENCE,
            seed=shape.seed,
        )
    totals = json.loads((var / "totals.json").read_text())
    buyers = read_buyers(var / "buyers.tsv")
    verified = _verified(shop)
    ledger = httpx.get(f"{shop.sandbox_url}/_sandbox/ledger", trust_env=False, timeout=60).json()
    observed = Observed(
        buyers=buyers,
        ordinary=read_ordinary(var / "ordinary.tsv"),
        totals=totals,
        imported=keys,
        paid_trades=[trade["out_trade_no"] for trade in ledger if trade["paid_at"]],
        verified=verified,
        books=None if naive else read_books(shop, STORM),
        storm_at=shape.storm_at,
        storm_ends=shape.storm_at + shape.spread,
        reached=read_reached(gateway.log) if gateway else None,
        ordinary_rate=shape.ordinary_rate,
        cpu=_cpu(watch.samples, totals, buyers),
    )
    return observed, not counts


def _opened(url: str, code: str, count: int, *, network: int) -> list[OpenedPage]:
    visitors = [
        Visitor(f"{code}-{number}@example.org", address_of(number, network=network))
        for number in range(count)
    ]
    return open_pages(url, code, visitors, say) if visitors else []


def _verified(shop: RunningShop) -> dict[str, list[str]]:
    """The findings of `verify --settled`, once there are none or the time for settling is over."""
    began = time.monotonic()
    while True:
        answer = shop.manage("verify", "--settled", "--json")
        if not answer.stdout.strip():
            raise RuntimeError(f"verify did not run:\n{answer.stderr[-2000:]}")
        findings: dict[str, list[str]] = json.loads(answer.stdout)
        took = time.monotonic() - began
        if not any(findings.values()) or took > SETTLING:
            break
        time.sleep(1)
    say(f"verify --settled after {took:.0f} s: {sum(map(len, findings.values()))} findings")
    for name, found in findings.items():
        for finding in found[:5]:
            say(f"  {name}: {finding}")
    return findings


def _cpu(samples: CpuSamples, totals: dict[str, Any], buyers: list[BuyerRecord]) -> dict[str, float]:
    """CPU seconds by role from the first click until the last key was in hand."""
    started = totals["started_monotonic_s"]
    last_key = max((b.keyed for b in buyers if b.keyed is not None), default=totals["wall_s"])
    return samples.between(started + max(totals["first_click_s"], 0), started + last_key)


def _save(var: Path, results: Results, buyers: list[BuyerRecord], shape: Shape) -> None:
    about = {
        "at": datetime.now().astimezone().isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "seed": shape.seed,
        "hold_seconds": shape.hold_seconds,
        "spread_s": shape.spread,
        "abandoning": shape.abandoning,
    }
    (var / "results.json").write_text(json.dumps({"run": about, **as_json(results)}, indent=2) + "\n")
    with (var / "results.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("figure", "value"), *rows(results)])
    conditions = (
        f"{about['cores']} cores for everything, the load generator included · open loop, clicks over "
        f"{shape.spread:g} s · {shape.abandoning:.0%} never pay, "
        f"holds of {shape.hold_seconds} s · seed {shape.seed}"
    )
    svg = draw(results, buyers, storm_at=shape.storm_at, spread=shape.spread, conditions=conditions)
    (var / "storm.svg").write_text(svg)


def _shown(path: Path) -> Path:
    return path.relative_to(REPOSITORY) if path.is_relative_to(REPOSITORY) else path


def say(text: str) -> None:
    print(f"storm: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
