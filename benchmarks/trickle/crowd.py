"""People at the shop, at fixed rates: an open loop, every time measured from the intended moment."""

import asyncio
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

GOODS = "beside-the-trickle"
# Methods, and the channel that trickles.
SOUND, TRICKLING_METHOD, TRICKLING = "alipay", "qqpay", "trickle"
PATIENCE = 60.0  # seconds
LOOK_EVERY = 0.1

PAGE, PRESSED, BOUGHT, TURNED_AWAY = "storefront page", "press pay", "order to key", "press pay there"
# A second, each.
RATES = {"look": 8.0, "buy": 1.5, "leave": 0.5, "try": 2.0}


@dataclass
class Records:
    """Seconds by what was measured, and what went wrong."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    wrong: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)  # to those who pay at the trickling channel
    keys: list[str] = field(default_factory=list)
    bought: int = 0


class Crowd:
    def __init__(self, url: str) -> None:
        self._come_so_far = 0
        limits = httpx.Limits(max_connections=400, max_keepalive_connections=100)
        # A browser has one buyer's cookies; those of a thousand in one jar would be all that is measured.
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        self._http = httpx.AsyncClient(
            base_url=url, timeout=PATIENCE, limits=limits, cookies=no_cookies, trust_env=False
        )

    async def come(self, seconds: float) -> Records:
        """All of them, for that long; ends once the last of them has gone. What was measured meanwhile."""
        records, lives, began = Records(), [], time.monotonic()
        for kind, rate in RATES.items():
            for number in range(int(seconds * rate)):
                self._come_so_far += 1
                person = Person(self._http, self._come_so_far, records)
                lives.append(asyncio.create_task(person.live(kind, began + number / rate)))
        await asyncio.gather(*lives)
        return records

    async def close(self) -> None:
        await self._http.aclose()


class Person:
    """Somebody whom nobody has seen before, with an address of their own."""

    def __init__(self, http: httpx.AsyncClient, number: int, records: Records) -> None:
        self._http, self._number, self._records = http, number, records
        self._address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"

    async def live(self, kind: str, intended: float) -> None:
        await asyncio.sleep(intended - time.monotonic())
        act = {"look": self._look, "buy": self._buy, "leave": self._leave, "try": self._try_there}[kind]
        try:
            await act(intended)
        except httpx.HTTPStatusError as error:
            self._records.wrong[f"{kind}: {error.response.status_code} {error.response.text[:80]}"] += 1
        except (httpx.HTTPError, TimeoutError) as error:
            self._records.wrong[f"{kind}: {type(error).__name__} {error}"] += 1

    def _measured(self, what: str, since: float) -> None:
        self._records.seconds[what].append(time.monotonic() - since)

    async def _look(self, intended: float) -> None:
        (await self._http.get(f"/p/{GOODS}/")).raise_for_status()
        self._measured(PAGE, intended)

    async def _buy(self, intended: float) -> None:
        order = await self._order()
        pressed = time.monotonic()
        attempt = await self._call("POST", f"{order}payments/", {"method": SOUND})
        self._measured(PRESSED, pressed)
        returned = await self._http.post(attempt["pay_url"], data={"action": "pay"})
        await self._http.get(returned.headers["Location"])
        while not (await self._call("GET", order))["has_keys"]:
            if time.monotonic() > intended + PATIENCE:
                raise TimeoutError("no key")
            await asyncio.sleep(LOOK_EVERY)
        for line in (await self._call("GET", f"{order}keys/"))["lines"]:
            self._records.keys += line["keys"]
        self._measured(BOUGHT, intended)
        self._records.bought += 1

    async def _leave(self, _intended: float) -> None:
        """Chooses how to pay, and goes away."""
        await self._call("POST", f"{await self._order()}payments/", {"method": SOUND})

    async def _try_there(self, _intended: float) -> None:
        order = await self._order()
        pressed = time.monotonic()
        answer = await self._http.post(f"{order}payments/", json={"method": TRICKLING_METHOD})
        self._measured(TURNED_AWAY, pressed)
        self._records.answers[str(answer.status_code)] += 1

    async def _order(self) -> str:
        """The API's address of a new order."""
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
