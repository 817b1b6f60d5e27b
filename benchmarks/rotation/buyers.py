"""Buyers at fixed moments: each orders and looks at it; some of them pay at once and collect the key."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx

from tests.stack import RunningShop

GOODS = "rotation"
PATIENCE = 60.0  # seconds from the click to the key
AT_THE_PROVIDER = 2.0  # seconds


@dataclass
class Buyer:
    """`came`: seconds since the first one. `took`: from the click to the order or, who pays, to the key, less
    AT_THE_PROVIDER.
    """

    number: int
    came: float
    pays: bool
    took: float = 0.0
    keys: list[str] = field(default_factory=list)
    came_again: int = 0  # as a 503 asked for
    trouble: str = ""


async def serve(
    shop: RunningShop, *, rate: float, one_pays_of: int, go_on: Callable[[float], bool]
) -> list[Buyer]:
    """An open loop: `rate` buyers a second while `go_on(seconds)`, whatever became of those before them."""
    limits = httpx.Limits(max_connections=600, max_keepalive_connections=200)
    async with httpx.AsyncClient(base_url=shop.url, timeout=PATIENCE, limits=limits, trust_env=False) as http:
        buyers: list[Buyer] = []
        lives, began = [], time.monotonic()
        while go_on(came := len(buyers) / rate):
            await asyncio.sleep(began + came - time.monotonic())
            number = len(buyers)
            buyers.append(buyer := Buyer(number, came, pays=number % one_pays_of == 0))
            lives.append(asyncio.create_task(_live(http, buyer, began + came)))
        await asyncio.gather(*lives)
    return buyers


async def _live(http: httpx.AsyncClient, buyer: Buyer, clicked: float) -> None:
    try:
        await _buy(http, buyer, clicked)
    except (httpx.HTTPError, TimeoutError) as error:
        buyer.trouble = f"{type(error).__name__}: {str(error)[:160]}"
    buyer.took = time.monotonic() - clicked - AT_THE_PROVIDER * buyer.pays


async def _buy(http: httpx.AsyncClient, buyer: Buyer, clicked: float) -> None:
    async def ask(method: str, path: str, body: object = None) -> Any:
        while True:
            answer = await http.request(method, path, json=body, headers={"X-Forwarded-For": address})
            if answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                break
            if time.monotonic() - clicked > PATIENCE:
                raise TimeoutError("nothing but 503")
            buyer.came_again += 1
            await asyncio.sleep(float(answer.headers["Retry-After"]))
        answer.raise_for_status()
        return answer.json()

    address = f"10.{buyer.number >> 16 & 255}.{buyer.number >> 8 & 255}.{buyer.number & 255}"
    minted = await ask("POST", "/api/v1/passes/", {"variant": GOODS})
    contact = f"buyer{buyer.number}@example.org"
    wanted = {"variant": GOODS, "quantity": 1, "contact_email": contact, **minted}
    placed = await ask("POST", "/api/v1/orders/", wanted)
    order = f"/api/v1/orders/{placed['token']}/"
    if not buyer.pays:
        await ask("GET", order)
        return
    attempt = await ask("POST", f"{order}payments/", {"method": "alipay"})
    await asyncio.sleep(AT_THE_PROVIDER)
    await http.post(attempt["pay_url"], data={"action": "pay"})
    while not (state := await ask("GET", order))["has_keys"]:
        if time.monotonic() - clicked > PATIENCE:
            raise TimeoutError(f"the order is {state['status']}")
        await asyncio.sleep(state["next_look"] or 1)
    for line in (await ask("GET", f"{order}keys/"))["lines"]:
        buyer.keys += line["keys"]
