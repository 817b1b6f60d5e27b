"""The shop, the gateway in front of it, and buyers whom nobody has seen before."""

import json
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.overload.plan import Part, click_moments, ordinary_moments, write_plan
from benchmarks.storm.pages import OpenedPage, Visitor
from benchmarks.storm.plan import address_of
from benchmarks.storm.processes import CpuSamples, CpuWatch
from benchmarks.storm.records import BuyerRecord, OrdinaryRecord, read_buyers, read_ordinary
from benchmarks.storm.running import generate
from benchmarks.storm.stage import ORDINARY, STORM, furnish, new_keys, stock_up
from tests.gateways import Gateway
from tests.stack import RunningShop

HOLD_SECONDS = 3600  # as long as the shop allows: nothing lapses within the run
# As our pages have them (static/js/asking.js, join.js), in seconds.
PAGES = {"patience": 10.0, "first_backoff": 1.0, "longest_backoff": 30.0}
TAIL = 40.0  # seconds that buyers stay in line after the last click: longer than a truth may take
PORTIONS = {STORM: 20_000, ORDINARY: 2_000}  # newcomers at least, when more are needed
SPARE_KEYS = 100
PAUSE = 3.0  # seconds in which the allocator hears of new keys, and the shop calms down


@dataclass(frozen=True, kw_only=True)
class Run:
    """What came of a plan. Moments are seconds after its start."""

    parts: list[Part]
    buyers: list[BuyerRecord]
    ordinary: list[OrdinaryRecord]
    committed: list[float]
    totals: dict[str, Any]  # the generator's own
    counts: bool  # False: the generator was the bottleneck
    cpu: CpuSamples  # of the shop's processes, the gateway left out

    def cpu_of(self, part: Part) -> dict[str, float]:
        """CPU seconds by role."""
        started = self.totals["started_monotonic_s"]
        return self.cpu.between(started + part.start, started + part.end)


class Stage:
    def __init__(self, shop: RunningShop, gateway: Gateway, program: Path, var: Path, seed: int) -> None:
        self._shop, self._gateway, self._program, self._var, self._seed = shop, gateway, program, var, seed
        self._numbers = count()
        self._newcomers: dict[str, list[OpenedPage]] = {STORM: [], ORDINARY: []}
        furnish(shop, keys=[], ordinary_keys=0, hold_seconds=HOLD_SECONDS, queued=True, say=say)
        _ask(shop, _NO_PROOF)

    def run(self, parts: list[Part], *, ordinary_rate: float) -> Run:
        """Everybody of these parts. Nobody is left in the line, nor on the way into it, when it returns."""
        clicks = list(click_moments(parts, seed=self._seed))
        purchases = ordinary_moments(parts, ordinary_rate)
        write_plan(
            self._var / "plan.tsv",
            clicks=clicks,
            buyers=self._come(STORM, len(clicks)),
            purchases=purchases,
            shoppers=self._come(ORDINARY, len(purchases)),
        )
        time.sleep(PAUSE)
        run = self._generate(parts)
        if any(buyer.outcome == "out_of_time" for buyer in run.buyers):
            self._wait_until_idle()
        return run

    def _come(self, code: str, wanted: int) -> list[OpenedPage]:
        if len(self._newcomers[code]) < wanted:
            self._invite(code, max(wanted, PORTIONS[code]))
        come, self._newcomers[code] = self._newcomers[code][:wanted], self._newcomers[code][wanted:]
        return come

    def _invite(self, code: str, more: int) -> None:
        """Passes, and a key in stock for each of them: whoever is let in can have one."""
        stock_up(self._shop, code, new_keys(more + SPARE_KEYS), say=say)
        passes = _ask(self._shop, _PASSES.format(code=code, count=more))
        self._newcomers[code] += map(self._newcomer, passes)

    def _newcomer(self, buyer_pass: str) -> OpenedPage:
        number = next(self._numbers)
        visitor = Visitor(f"buyer-{number}@example.org", address_of(number, network=16))
        return OpenedPage(visitor, buyer_pass, f"overload-{number:09}")

    def _generate(self, parts: list[Part]) -> Run:
        with CpuWatch(self._shop.pid, pools=self._shop.pools) as watch:
            counts = generate(
                self._program,
                var=self._var,
                hot_url=self._gateway.url,
                web_url=self._gateway.url,
                deadline=parts[-1].end + TAIL,
                seed=self._seed,
                **PAGES,
            )
        totals = json.loads((self._var / "totals.json").read_text())
        return Run(
            parts=parts,
            buyers=read_buyers(self._var / "buyers.tsv"),
            ordinary=read_ordinary(self._var / "ordinary.tsv"),
            committed=self._committed(totals["started_monotonic_s"]),
            totals=totals,
            counts=counts,
            cpu=watch.samples,
        )

    def _committed(self, started: float) -> list[float]:
        """When the orders since then were placed, by PostgreSQL's clock, which is this machine's."""
        epoch = time.time() - time.monotonic() + started
        moments = _ask(self._shop, _COMMITTED.format(code=STORM, since=epoch))
        return [moment - epoch for moment in moments]

    def _wait_until_idle(self) -> None:
        seen = -1
        while (orders := self._standing()["orders"]) != seen:
            seen = orders
            time.sleep(PAUSE)

    def free(self) -> int:
        """Units of the sale that nobody has."""
        return int(self._standing()["free"])

    def _standing(self) -> dict[str, Any]:
        standing: dict[str, Any] = _ask(self._shop, _STANDING.format(code=STORM))
        return standing

    def findings(self, *, within: float) -> dict[str, list[str]]:
        """What `manage.py verify` finds, once there is nothing or the time (seconds) is over."""
        deadline = time.monotonic() + within
        while True:
            answer = self._shop.manage("verify", "--json")
            if not answer.stdout.strip():
                raise RuntimeError(f"verify did not run:\n{answer.stderr[-2000:]}")
            found: dict[str, list[str]] = json.loads(answer.stdout)
            if not any(found.values()) or time.monotonic() > deadline:
                return found
            time.sleep(2)


def _ask(shop: RunningShop, program: str) -> Any:
    """What a program for the management shell calls `said`."""
    answer = shop.manage("shell", "-c", f"{program}\nimport json\nprint('SAID', json.dumps(said))")
    for line in answer.stdout.splitlines():
        if line.startswith("SAID "):
            return json.loads(line.removeprefix("SAID "))
    raise RuntimeError(f"the shop could not be asked:\n{answer.stderr[-2000:]}")


# Its price is the buyers' processors, and here those are the shop's.
_NO_PROOF = f"""
from orders.models import Sale
said = Sale.objects.filter(variant__code="{STORM}").update(proof_of_work="never")
"""
_PASSES = """
from cardshop.common.clock import db_now
from cardshop.traffic.passes import mint_pass
now = db_now()
said = [mint_pass(variant_code="{code}", now=now) for _ in range({count})]
"""
_COMMITTED = """
from datetime import UTC, datetime
from orders.models import Order
since = datetime.fromtimestamp({since}, UTC)
orders = Order.objects.filter(items__variant__code="{code}", placed_at__gte=since)
said = sorted(moment.timestamp() for moment in orders.values_list("placed_at", flat=True))
"""
_STANDING = """
from inventory.models import Stock
from orders.models import Order
stock = Stock.objects.get(variant__code="{code}")
orders = Order.objects.filter(items__variant__code="{code}").count()
said = {{"free": stock.released - stock.claimed, "orders": orders}}
"""


def say(text: str) -> None:
    print(f"overload: {text}", flush=True)
