"""One storm: a variant of its own, its buyers, its faults, and the judgement afterwards."""

import asyncio
import json
import secrets
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import psycopg2

from benchmarks.soak import judge
from benchmarks.soak.buyers import LAPSED, UNCLEAN, Addresses, Buyer, client, live_together
from benchmarks.soak.plan import Fault, Plan
from benchmarks.soak.stack import BEHIND_BY, Stack

# After the last fault is repaired, everything must be as it should be within this time.
RECOVERY = 60.0
REPAIR = 60.0  # for the processes to be there again
JUDGING = 180.0


@dataclass
class Result:
    seed: int
    keys: int
    buyers: int
    faults: list[dict[str, Any]]
    sold: int = 0
    paid: int = 0
    repaired_after: float = 0.0  # seconds from the last fault
    recovered_after: float = 0.0  # seconds from the repair; 0 when nothing was left to recover
    answers: dict[str, int] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)
    too_late: list[str] = field(default_factory=list)  # buyers whose hold was over when they came to pay
    unrepaired: bool = False  # no further storm makes sense
    wrong: list[str] = field(default_factory=list)

    @property
    def line(self) -> str:
        faults = ", ".join(f"{fault['kind']} {fault['at']}" for fault in self.faults)
        return (
            f"seed {self.seed}: {self.buyers} buyers, {self.keys} keys; {faults}; "
            f"sold {self.sold}, paid {self.paid}; repaired in {self.repaired_after:.0f} s, "
            f"recovered in {self.recovered_after:.0f} s; {'RED' if self.wrong else 'ok'}"
        )


def run_storm(stack: Stack, plan: Plan) -> Result:
    code = f"soak-{plan.seed}-{secrets.token_hex(3)}"
    keys = [f"SOAK-{secrets.token_hex(10).upper()}" for _ in range(plan.keys)]
    _furnish(stack, plan, code, keys)
    stack.wait_until_settled()
    try:
        return asyncio.run(_Storm(stack, plan, code, set(keys)).run())
    finally:
        with suppress(psycopg2.Error):  # its allocator has nothing more to do
            stack.query(_CLEAR, code=code)


class _Storm:
    def __init__(self, stack: Stack, plan: Plan, code: str, keys: set[str]) -> None:
        self.stack, self.plan, self.code, self.keys = stack, plan, code, keys
        self.opened = 0.0
        self.repaired: float | None = None
        self.unrepaired: list[str] = []
        self.answers: Counter[str] = Counter()

    async def run(self) -> Result:
        faults = [asdict(fault) for fault in self.plan.faults]
        result = Result(self.plan.seed, self.plan.keys, len(self.plan.people), faults)
        async with client() as http:
            at = Addresses(web=self.stack.shop.url, hot=self.stack.shop.hot_url)
            buyers = [
                Buyer(person, plan=self.plan, variant=self.code, at=at, http=http, answers=self.answers)
                for person in self.plan.people
            ]
            for some in range(0, len(buyers), 16):
                await asyncio.gather(*(buyer.open_page() for buyer in buyers[some : some + 16]))
            self.opened = time.monotonic()
            struck = [asyncio.create_task(self._strike(fault)) for fault in self.plan.faults]
            repair = asyncio.create_task(self._repair(struck))
            await live_together(buyers, opened=self.opened, until=self._deadline)
            last = await repair
            if self.unrepaired:
                result.unrepaired = True
                result.wrong = [f"not repaired after {REPAIR:.0f} s: {', '.join(self.unrepaired)}"]
                return result
            result.answers = dict(sorted(self.answers.items()))
            verified = await self._quiet()
            result.recovered_after = time.monotonic() - (self.repaired or 0)
            unclean = [
                f"{times} answers of {name}" for name, times in self.answers.items() if UNCLEAN in name
            ]
            async with asyncio.timeout(JUDGING):
                result.wrong = [*verified, *unclean] + await judge.wrongs(
                    self.stack, self.code, buyers=buyers, keys=self.keys
                )
        result.repaired_after = (self.repaired or 0) - last
        result.ends = judge.tally(buyers)
        result.too_late = [buyer.story.too_late for buyer in buyers if buyer.story.end == LAPSED]
        result.sold = judge.books(self.stack, self.code).sold
        trades = judge.paid_trades(self.stack)
        result.paid = sum(any(trade in trades for trade in buyer.story.trades) for buyer in buyers)
        return result

    def _deadline(self) -> float:
        """Buyers have until RECOVERY after the repair; who waits longer waits too long."""
        if self.unrepaired:
            return 0.0
        return float("inf") if self.repaired is None else self.repaired + RECOVERY

    async def _strike(self, fault: Fault) -> float:
        moment = self.opened + fault.at
        await asyncio.sleep(moment - BEHIND_BY - time.monotonic())
        target = await asyncio.to_thread(self.stack.aim, fault)
        await asyncio.sleep(moment - time.monotonic())
        await asyncio.to_thread(self.stack.strike, target)
        return time.monotonic()

    async def _repair(self, struck: list[asyncio.Task[float]]) -> float:
        """Wait until everything is there again; the moment of the last fault."""
        last = max(await asyncio.gather(*struck))
        while missing := await asyncio.to_thread(self.stack.what_is_missing):
            if time.monotonic() > last + REPAIR:
                self.unrepaired = missing
                break
            await asyncio.sleep(0.5)
        self.repaired = time.monotonic()
        return last

    async def _quiet(self) -> list[str]:
        """What `verify` still says when all is quiet, or when the time for that is over."""
        while True:
            over = time.monotonic() > self._deadline()
            if over or judge.books(self.stack, self.code).is_quiet:
                found = await asyncio.to_thread(judge.verify, self.stack)
                if over or not found:
                    return found
            await asyncio.sleep(1)


def _furnish(stack: Stack, plan: Plan, code: str, keys: list[str]) -> None:
    script = _VARIANT.format(
        code=code, isolated=plan.isolated, hold_seconds=plan.hold_seconds, keys=json.dumps(keys)
    )
    made = stack.shop.manage("shell", text=script)
    if made.returncode or "Traceback" in made.stderr:
        raise RuntimeError(f"the variant could not be made:\n{made.stderr[-2000:]}")


_VARIANT = """
from cardshop.common.clock import db_now
from cardshop.shops.models import Shop
from inventory.imports import import_keys
from inventory.models import Product, Stock, Variant
from orders.models import Sale
from payments.models import PaymentChannel
# Everybody pays through one provider, whose pages these buyers know.
PaymentChannel.objects.filter(method="alipay").exclude(slug="alipay").update(is_enabled=False)
shop = Shop.objects.get(slug="demo")
product = Product.objects.create(shop=shop, slug="{code}", name="Soak", is_listed=True)
variant = Variant.objects.create(
    shop=shop, product=product, code="{code}", name="One", price_minor=100, max_quantity=2,
    is_isolated={isolated})
Stock.objects.create(shop=shop, variant=variant)
import_keys(variant=variant, lines={keys}, imported_by="soak", note="", now=db_now())
Sale.objects.create(shop=shop, variant=variant, hold_seconds={hold_seconds})
Variant.objects.filter(pk=variant.pk).update(selling="queued")
"""
_CLEAR = """
    WITH over AS (UPDATE inventory_variant SET selling = 'direct' WHERE code = %(code)s RETURNING id)
    DELETE FROM orders_sale WHERE variant_id IN (SELECT id FROM over)"""
