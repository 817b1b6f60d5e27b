"""Honest buyers: each does over HTTP what the page would do, and tries again whatever fails."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

import httpx

from benchmarks.soak.plan import Person, Plan

# While something is down the shop says 503 and when to come again, and nothing else.
UNCLEAN = "unclean"
LONGEST_WAIT = 4.0  # seconds between two tries
TIME_TO_PAY = 2  # seconds that must be left of the hold when somebody presses "pay"

# How it ended. A refusal is told with its reason.
KEYS, ABANDONED, LAPSED = "keys", "abandoned", "lapsed"
HONEST_ENDS = {KEYS, ABANDONED, LAPSED, "line_full", "sold_out"}


@dataclass
class Addresses:
    web: str
    hot: str


@dataclass
class Story:
    """What happened to one buyer."""

    person: Person
    ticket: str = ""
    tickets: set[str] = field(default_factory=set)
    token: str = ""
    trades: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    end: str = ""
    too_late: str = ""  # how the order stood when it could not be paid any more
    last: str = ""  # what was last heard, for who never came to an end

    @property
    def ended_honestly(self) -> bool:
        # There may be one left, and one is no good to who wants two.
        return self.end in HONEST_ENDS or (self.end == "out_of_stock" and self.person.quantity > 1)


class Buyer:
    def __init__(
        self,
        person: Person,
        *,
        plan: Plan,
        variant: str,
        at: Addresses,
        http: httpx.AsyncClient,
        answers: Counter[str],
    ) -> None:
        self.story = Story(person)
        self._person, self._variant, self._at = person, variant, at
        self._http, self._answers = http, answers
        self._dice = Random(f"buyer-{plan.seed}-{person.number}")
        self._contact = f"{variant}-{person.number}@example.org"
        self._minted: dict[str, str] = {}

    async def open_page(self) -> None:
        """Beforehand: the pass, and the key under which every click of this page is the same."""
        _, said = await self._ask("POST", f"{self._at.web}/api/v1/passes/", {"variant": self._variant})
        self._minted = {name: said[name] for name in ("pass", "idempotency_key")}

    async def live(self, opened: float) -> None:
        """Click at the planned moment and go on to the end. `opened`: time.monotonic() at the opening."""
        await asyncio.sleep(opened + self._person.clicks_at - time.monotonic())
        clicks = [self._click() for _ in range(2 if self._person.clicks_twice else 1)]
        standings = await asyncio.gather(*clicks)
        standing = standings[0]
        while not self.story.end:
            match standing.get("status"):
                case "held":
                    self.story.token = standing["order"]["token"]
                    await self._pay(opened)
                case "queued" | "waiting":
                    await asyncio.sleep(float(standing["after"]) * self._dice.uniform(1.0, 1.2))
                    standing = await self._look()
                case _:
                    self.story.end = standing.get("reason") or standing.get("code") or "?"

    # In line

    async def _click(self) -> dict[str, Any]:
        body = {
            "variant": self._variant,
            "quantity": self._person.quantity,
            "contact_email": self._contact,
            **self._minted,
        }
        status, said = await self._ask("POST", f"{self._at.hot}/api/v1/tickets/", body)
        if status == 202:
            self.story.ticket = said["ticket"]
            self.story.tickets.add(said["ticket"])
        return said

    async def _look(self) -> dict[str, Any]:
        status, said = await self._ask("GET", f"{self._at.hot}{self.ticket_path}")
        return await self._click() if status == 404 else said

    @property
    def ticket_path(self) -> str:
        return f"/api/v1/tickets/{self._variant}/{self.story.ticket}/"

    # Paying

    async def _pay(self, opened: float) -> None:
        if self._person.abandons and time.monotonic() - opened < 10:
            self.story.end = ABANDONED
            return
        await asyncio.sleep(self._person.thinks)
        order = f"{self._at.web}/api/v1/orders/{self.story.token}/"
        while True:
            _, state = await self._ask("GET", order)
            if not state["can_pay"]:
                self.story.end = LAPSED
                self.story.too_late = (
                    f"{state['status']}, {state['seconds_left']} s left, placed {state['placed_at']}, "
                    f"looked at {datetime.now(UTC):%H:%M:%S}, {time.monotonic() - opened:.1f} s after opening"
                )
                return
            status, attempt = await self._ask("POST", f"{order}payments/", {"method": "alipay"})
            if status != 201:
                continue
            self.story.trades.append(attempt["out_trade_no"])
            _, state = await self._ask("GET", order)
            if state["seconds_left"] >= TIME_TO_PAY:
                break
            await asyncio.sleep(0.5)
        await self._press_pay(attempt["pay_url"])
        while not state["has_keys"]:
            await asyncio.sleep(state["next_look"] or 1)
            _, state = await self._ask("GET", order)
        self.story.keys = await self.collect()
        self.story.end = KEYS

    async def _press_pay(self, pay_url: str) -> None:
        """The provider's page, and back to the shop as the browser would go: once, whatever comes of it."""
        returned = await self._http.post(pay_url, data={"action": "pay"})
        try:
            await self._http.get(returned.headers["Location"])
        except httpx.TransportError as error:
            self._answers[type(error).__name__] += 1

    async def collect(self) -> list[str]:
        _, said = await self._ask("GET", f"{self._at.web}/api/v1/orders/{self.story.token}/keys/")
        return [key for line in said.get("lines", []) for key in line["keys"]]

    async def standing(self) -> tuple[int, dict[str, Any]]:
        return await self._ask("GET", f"{self._at.hot}{self.ticket_path}")

    # Asking

    async def _ask(self, method: str, url: str, body: object = None) -> tuple[int, dict[str, Any]]:
        """Status and body, tried again until there is an answer that means something.

        `after` is added to the body: the seconds that Retry-After says.
        """
        wait = 0.25
        while True:
            after = 0.0
            try:
                answer = await self._http.request(method, url, json=body)
            except httpx.TransportError as error:
                self._answers[type(error).__name__] += 1
                self.story.last = type(error).__name__
            else:
                after = float(answer.headers.get("Retry-After", 0))
                self._answers[_named(answer)] += 1
                self.story.last = f"{answer.status_code} {answer.text[:200]}"
                if answer.status_code < 500 and answer.status_code != 429:
                    return answer.status_code, {**answer.json(), "after": after}
            await asyncio.sleep(max(min(after, LONGEST_WAIT), wait * self._dice.uniform(0.5, 1.0)))
            wait = min(2 * wait, LONGEST_WAIT)


def _named(answer: httpx.Response) -> str:
    """The status, and whether it is one that an honest buyer should never see."""
    status = answer.status_code
    if status == 503 and "Retry-After" not in answer.headers:
        return f"503 {UNCLEAN}: no Retry-After"
    return f"{status} {UNCLEAN}" if status >= 500 and status != 503 else str(status)


def client() -> httpx.AsyncClient:
    """For all buyers together; every one of them may have a connection of its own."""
    limits = httpx.Limits(max_connections=400, max_keepalive_connections=400)
    return httpx.AsyncClient(timeout=10, limits=limits, trust_env=False, follow_redirects=False)


async def live_together(buyers: list[Buyer], *, opened: float, until: Callable[[], float]) -> None:
    """Let them all live; whoever has not come to an end at `until()` (which may move) is stopped."""
    lives = {asyncio.create_task(buyer.live(opened)) for buyer in buyers}
    left = lives
    while left and time.monotonic() < until():
        _, left = await asyncio.wait(left, timeout=0.5)
    for life in left:
        life.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    for life in lives - left:
        life.result()  # a mistake of the buyer's own code must not look like one of the shop's
