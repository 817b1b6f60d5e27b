"""Another Cardshop, by its API for resellers (docs/resellers.md)."""

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from django.conf import settings

from cardshop.common.errors import DomainError
from cardshop.common.outgoing import Answer, NoAnswer, get, post
from resellers.signing import SCHEME, WINDOW, sign
from suppliers.drivers.base import Account, Bought, Entry, NotNow, Refused, Silent, Unclear
from suppliers.saying import ANSWERED

API = "/api/reseller/v1/"
SECONDS = 10.0  # for a call, however slowly it is answered
ANSWER_READ = 4 * 1024 * 1024  # bytes; 500 keys of 2,000 bytes are the most that an order has
CODES_AT_ONCE = 200
ENTRIES_AT_ONCE = 200
# With these an order is refused for good: the same request has been understood, and has left nothing behind.
DEFINITE = frozenset(
    {
        *("out_of_stock", "not_enough_balance", "price_rose", "not_for_sale", "not_buyable"),
        *("not_open", "ended", "paused", "sold_through_line", "invalid"),
    }
)
# It stands for something that was bought, and we do not know what.
REUSED = "idempotency_key_reused"
ENDED_WELL = ("delivered", "completed")
ENDED_BADLY = ("refused", "cancelled", "refunded")
Read = TypeVar("Read")


@dataclass(frozen=True, kw_only=True)
class CardshopUpstream:
    base_url: str
    key_name: str
    secret: str = field(repr=False)
    # As long as the signature holds, by the slowest of clocks.
    still_arrives: timedelta = timedelta(seconds=2 * WINDOW)

    def order(self, *, key: str, code: str, quantity: int, most_minor: int | None, reference: str) -> Bought:
        asked: dict[str, Any] = {"lines": [{"variant": code, "quantity": quantity}], "reference": reference}
        if most_minor is not None:
            asked["most_minor"] = most_minor
        body = json.dumps(asked).encode()
        answer = self._call("POST", "orders/", body=body, headers={"Idempotency-Key": key})
        return _read(_bought, self._yes(answer))

    def find(self, reference: str) -> Bought | None:
        said = self._get("orders/", reference=reference)
        return _read(lambda said: next(map(_bought, said["orders"]), None), said)

    def order_with_keys(self, number: str) -> Bought:
        return _read(_bought, self._get(f"orders/{quote(number, safe='')}/keys/"))

    def stock(self, codes: Sequence[str]) -> Mapping[str, int | None]:
        found: dict[str, int | None] = dict.fromkeys(codes, 0)
        for at in range(0, len(codes), CODES_AT_ONCE):
            said = self._get("stock/", codes=",".join(codes[at : at + CODES_AT_ONCE]))
            found |= _read(_stock, said)
        return found

    def account(self) -> Account:
        said = self._get("account/")
        return _read(lambda said: Account(str(said["name"]), said["currency"], said["balance_minor"]), said)

    def entries(self, after: str) -> Iterator[tuple[list[Entry], str]]:
        following: str | None = after
        while following is not None:
            said = self._get("account/entries/", after=following, limit=str(ENTRIES_AT_ONCE))
            page, following = _read(lambda said: (said["entries"], said["next"]), said)
            if page:
                yield _read(lambda page: ([_entry(each) for each in page], str(page[-1]["id"])), page)

    # How it is asked

    def _get(self, path: str, **asked: str) -> Any:
        return self._yes(self._call("GET", f"{path}?{urlencode(asked)}" if asked else path))

    def _call(
        self, method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        url = self.base_url.rstrip("/") + API + path
        parts = urlsplit(url)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        sent = {"Authorization": self._signed(method, target, body), **(headers or {})}
        within: dict[str, Any] = {
            "seconds": SECONDS,
            "private": settings.SUPPLIERS_PRIVATE_ADDRESSES,
            "most": ANSWER_READ,
        }
        try:
            if method == "GET":
                return get(url, headers=sent, **within)
            return post(url, body=body, headers={**sent, "Content-Type": "application/json"}, **within)
        except NoAnswer as none:
            raise Silent(str(none)) from None
        except DomainError as not_allowed:
            raise NotNow(str(not_allowed)) from None

    def _signed(self, method: str, target: str, body: bytes) -> str:
        timestamp, nonce = int(time.time()), secrets.token_urlsafe(16)
        said = {"method": method, "path": target, "body_digest": sha256(body).hexdigest()}
        signature = sign(self.secret, timestamp=timestamp, nonce=nonce, **said)
        return f"{SCHEME} key={self.key_name}, timestamp={timestamp}, nonce={nonce}, signature={signature}"

    def _yes(self, answer: Answer) -> Any:
        """What it said. Raises Refused, NotNow, Unclear."""
        said = _json(answer.body)
        if answer.is_yes:
            if said is None:
                raise Unclear("it answered with something else than JSON")
            return said
        code = str(said.get("code", ""))[:40] if isinstance(said, dict) else ""
        said_no = ANSWERED % {"answer": f"{answer.status} {code}".strip()}
        if not 400 <= answer.status < 500 or code == REUSED:
            raise Unclear(said_no)
        if code in DEFINITE:
            raise Refused(code)
        raise NotNow(said_no)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _read(reading: Callable[[Any], Read], said: Any) -> Read:
    """Raises Unclear for what is not what its documentation says."""
    try:
        return reading(said)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        raise Unclear("its answer cannot be read") from None


def _bought(said: Mapping[str, Any]) -> Bought:
    status, total = str(said["status"]), said["total_minor"]
    keys: list[str] | None = None
    unreadable = 0
    if said["lines"] and "keys" in said["lines"][0]:
        keys = [_text(key) for line in said["lines"] for key in line["keys"]]
        unreadable = sum(int(line["unreadable"]) for line in said["lines"])
    problem = str((said["problem"] or {}).get("code", "")) or status
    return Bought(
        number=_text(said["number"]),
        cost_minor=None if total is None else int(total),
        keys=keys,
        is_final=status in ENDED_WELL and not unreadable,
        problem=problem[:40] if status in ENDED_BADLY else "",
    )


def _text(said: Any) -> str:
    if not isinstance(said, str):
        raise TypeError
    return said


def _stock(said: Mapping[str, Any]) -> dict[str, int | None]:
    return {
        _text(each["code"]): _free(each["available"]) if each["is_buyable"] else 0 for each in said["stock"]
    }


def _free(available: Any) -> int | None:
    return None if available is None else max(0, int(available))


def _entry(said: Mapping[str, Any]) -> Entry:
    at = datetime.fromisoformat(said["at"])
    return Entry(int(said["id"]), _text(said["kind"]), int(said["amount_minor"]), _text(said["reason"]), at)
