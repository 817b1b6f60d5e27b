"""Buyers of the sale: each orders, goes to pay, and if nothing came of it tries once more or gives up."""

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.stack import RunningShop

GOODS = "silent"
METHOD = "alipay"
DEAD = "epay_v1"  # the protocol of the channel that dies
PATIENCE = 60.0
WILLING = 0.9  # share of buyers who pay if they can; the others only look at the payment page
TRIES_AGAIN = 0.5  # share of those for whom it did not work who come back and press again
COMES_BACK_AFTER = 32.0  # seconds; within 30 the shop takes it for the same press
FINDS_OUT = 6.0  # seconds until a buyer believes that nothing came of it


@dataclass
class Buyer:
    """`came` in seconds of the sale."""

    came: float
    was_willing: bool = False
    presses: int = 0
    has_paid: bool = False
    has_key: bool = False
    trouble: str = ""


@dataclass
class Sale:
    buyers: list[Buyer] = field(default_factory=list)

    @property
    def paid_without_key(self) -> int:
        return sum(buyer.has_paid and not buyer.has_key for buyer in self.buyers)

    def figures(self, *, since: float) -> dict[str, str]:
        """Of those who came after that moment."""
        late = [buyer for buyer in self.buyers if buyer.came >= since]
        willing = [buyer for buyer in late if buyer.was_willing]
        first = [buyer for buyer in willing if buyer.presses == 1 and buyer.has_key]
        again = [buyer for buyer in willing if buyer.presses > 1]
        return {
            "buyers": str(len(late)),
            "of them willing to pay": str(len(willing)),
            "paid and have a key": _share([b for b in willing if b.has_key], willing),
            "at the first try": _share(first, willing),
            "who tried again, and paid": _share([b for b in again if b.has_key], again),
            "in the first 20 s": _share(
                [b for b in willing if b.came < since + 20 and b.has_key],
                [b for b in willing if b.came < since + 20],
            ),
            "in trouble otherwise": str(sum(bool(buyer.trouble) for buyer in late)),
        }


def _share(some: list[Buyer], of: list[Buyer]) -> str:
    return f"{len(some)} ({len(some) / len(of):.0%})" if of else "-"


async def sale(shop: RunningShop, *, rate: float, dies_after: float, seconds: float, seed: int = 7) -> Sale:
    """An open loop: buyers come at fixed moments, whatever becomes of those before them."""
    dice, began = random.Random(seed), time.monotonic()
    limits = httpx.Limits(max_connections=600, max_keepalive_connections=100)
    async with httpx.AsyncClient(base_url=shop.url, timeout=PATIENCE, limits=limits, trust_env=False) as http:
        run = Sale()
        lives = [asyncio.create_task(_die(http, shop.sandbox_url, began + dies_after))]
        offset = _newcomers()
        for number in range(int(seconds * rate)):
            buyer = Buyer(came=number / rate, was_willing=dice.random() < WILLING)
            run.buyers.append(buyer)
            person = _Person(http, buyer, offset + number, random.Random(dice.random()))
            lives.append(asyncio.create_task(person.live(began + buyer.came)))
        await asyncio.gather(*lives)
    return run


def _newcomers() -> int:
    """Nobody of an earlier sale comes again."""
    return int(time.time()) % 1_000_000 * 10


async def _die(http: httpx.AsyncClient, sandbox: str, at: float) -> None:
    await asyncio.sleep(at - time.monotonic())
    (await http.post(f"{sandbox}/_sandbox/knobs", json={"pay_dead": DEAD})).raise_for_status()


class _Person:
    def __init__(self, http: httpx.AsyncClient, buyer: Buyer, number: int, dice: random.Random) -> None:
        self._http, self._buyer, self._number, self._dice = http, buyer, number, dice
        self._address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"

    async def live(self, comes_at: float) -> None:
        await asyncio.sleep(comes_at - time.monotonic())
        try:
            order = await self._order()
            await self._try(order)
            if self._buyer.was_willing and not self._buyer.has_paid and self._dice.random() < TRIES_AGAIN:
                await asyncio.sleep(COMES_BACK_AFTER)
                await self._try(order)
        except httpx.HTTPStatusError as error:
            self._buyer.trouble = f"{error.response.status_code} {error.response.text[:80]}"
        except httpx.HTTPError as error:
            self._buyer.trouble = type(error).__name__

    async def _try(self, order: str) -> None:
        """Press pay, stay a while at the provider's, come back and look."""
        self._buyer.presses += 1
        attempt = await self._call("POST", f"{order}payments/", {"method": METHOD})
        await asyncio.sleep(self._dice.lognormvariate(1.2, 0.5))
        if not self._buyer.was_willing:
            return
        await self._http.post(attempt["pay_url"], data={"action": "pay"})
        finds_out = time.monotonic() + FINDS_OUT
        while True:
            state = await self._call("GET", order)
            self._buyer.has_paid = self._buyer.has_paid or state["money_received"]
            if state["has_keys"]:
                self._buyer.has_key = True
                return
            if time.monotonic() > (finds_out + PATIENCE if self._buyer.has_paid else finds_out):
                return
            await asyncio.sleep(0.5)

    async def _order(self) -> str:
        minted = await self._call("POST", "/api/v1/passes/", {"variant": GOODS})
        contact = f"buyer{self._number}@example.org"
        wanted = {"variant": GOODS, "quantity": 1, "contact_email": contact, **minted}
        order = await self._call("POST", "/api/v1/orders/", wanted)
        return f"/api/v1/orders/{order['token']}/"

    async def _call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        headers = {"X-Forwarded-For": self._address}
        answer = await self._http.request(method, path, json=body, headers=headers)
        answer.raise_for_status()
        said: dict[str, Any] = answer.json()
        return said
