"""The client. One instance may be used by many threads."""

import json
import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx

from cardshop_client.encryption import PrivateKey
from cardshop_client.errors import NotAnswered, refusal
from cardshop_client.models import (
    Account,
    Available,
    Claim,
    Entry,
    Event,
    Order,
    Product,
    Quote,
    TopUp,
    Webhook,
)
from cardshop_client.signing import authorization

API = "/api/reseller/v1/"
# The shop has not done it, or will say the same again: asking once more is safe.
TRY_AGAIN = frozenset({429, 502, 503, 504})
LONGEST_WAIT = 30.0  # seconds
Read = TypeVar("Read")


class Cardshop:
    """A shop, as one API key sees it.

    `tries` is how often a request is sent before giving up, each time signed anew, after waits that double
    from half a second, or that the shop asks for. `timeout` is for each of them, in seconds. Whatever changes
    something is sent with an idempotency key, so sending it again is safe: yours, or one for this call alone
    where doing it twice is as good as once. With a `private_key` (PEM or JWK), card keys encrypted to it are
    told in clear; that needs cardshop-client[encryption].
    """

    def __init__(
        self,
        base_url: str,
        *,
        key: str,
        secret: str,
        timeout: float = 30.0,
        tries: int = 5,
        language: str = "en",
        transport: httpx.BaseTransport | None = None,
        private_key: str | Mapping[str, Any] | None = None,
    ) -> None:
        self._key = key
        self._secret = secret
        self._tries = tries
        self._opened = None if private_key is None else PrivateKey(private_key).opened
        self._http = httpx.Client(
            base_url=base_url,
            timeout=timeout,
            headers={"Accept-Language": language},
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # The account

    def account(self) -> Account:
        return Account.read(self._call("GET", "account/"))

    def entries(self, *, after: str = "0") -> Iterator[Entry]:
        """Every change of the balance, the oldest first."""
        return self._all("account/entries/", "entries", Entry.read, after=after)

    def statement(self, first: date, last: date) -> str:
        """Every entry of these days as CSV, between the opening and the closing balance; of 366 at most."""
        asked = {"from": first.isoformat(), "to": last.isoformat()}
        return self._answer("GET", "account/statement.csv", asked).text

    def top_up(self, amount_minor: int, *, idempotency_key: str) -> TopUp:
        """A page (`url`) at which somebody pays this on the account. The same key is the same top-up."""
        headers = {"Idempotency-Key": idempotency_key}
        body = {"amount_minor": amount_minor}
        return TopUp.read(self._call("POST", "account/top-ups/", body=body, headers=headers))

    def top_ups(self, *, after: str = "0") -> Iterator[TopUp]:
        """Every top-up of the account, the oldest first."""
        return self._all("account/top-ups/", "top_ups", TopUp.read, after=after)

    def top_up_called(self, number: str) -> TopUp:
        """How it stands."""
        return TopUp.read(self._call("GET", f"account/top-ups/{quote(number, safe='')}/"))

    # What there is

    def products(self, *, updated_since: datetime | None = None) -> Iterator[Product]:
        """What the shop lists, at this account's prices."""
        since = {} if updated_since is None else {"updated_since": updated_since.isoformat()}
        return self._all("products/", "products", Product.read, **since)

    def product(self, slug: str) -> Product:
        return Product.read(self._call("GET", f"products/{quote(slug, safe='')}/"))

    def stock(self, codes: Sequence[str]) -> dict[str, Available]:
        """By code, of at most 200 variants; what is not on sale is left out."""
        said = self._call("GET", "stock/", {"codes": ",".join(codes)})
        return {each["code"]: Available.read(each) for each in said["stock"]}

    def quote(self, quantities: Mapping[str, int]) -> Quote:
        """What so many of these variants would cost together. It holds nothing."""
        return Quote.read(self._call("POST", "quotes/", body={"lines": _lines(quantities)}))

    # Orders

    def order(
        self,
        quantities: Mapping[str, int],
        *,
        idempotency_key: str,
        reference: str = "",
        most_minor: int | None = None,
        later: bool = False,
    ) -> Order:
        """Buy so many of these variants, all of them or none, and pay from the balance.

        The same key is the same order, however often this is called. With `later`, and for more than a
        hundred keys, it is accepted and filled by the shop a moment later: see `wait_for`. Raises OutOfStock,
        NotEnoughBalance and other Refused; NotAnswered, after which the same key must be tried again.
        """
        body: dict[str, Any] = {"lines": _lines(quantities), "reference": reference}
        if most_minor is not None:
            body["most_minor"] = most_minor
        headers = {"Idempotency-Key": idempotency_key}
        if later:
            headers["Prefer"] = "respond-async"
        return self._order(self._call("POST", "orders/", body=body, headers=headers))

    def order_many(self, orders: Mapping[str, Mapping[str, int]]) -> dict[str, Order | None]:
        """Have up to 100 orders accepted at once; quantities by variant, by idempotency key. By key what
        became of it; None where the key came with another order before.
        """
        wanted = [{"idempotency_key": key, "lines": _lines(each)} for key, each in orders.items()]
        said = self._call("POST", "orders/batch/", body={"orders": wanted})
        return {
            each["idempotency_key"]: Order.read(each["order"]) if each["order"] else None
            for each in said["orders"]
        }

    def orders(self, *, after: str = "0", reference: str = "") -> Iterator[Order]:
        """Every order of this account, the oldest first, without keys."""
        return self._all("orders/", "orders", Order.read, after=after, reference=reference)

    def order_called(self, number: str) -> Order:
        """How it stands, without keys."""
        return Order.read(self._call("GET", f"orders/{quote(number, safe='')}/"))

    def order_with_keys(self, number: str) -> Order:
        """Raises CannotDecrypt."""
        return self._order(self._call("GET", f"orders/{quote(number, safe='')}/keys/"))

    def wait_for(self, number: str, *, seconds: float = 60.0) -> Order:
        """The order with its keys once nothing more will come of it, or as it stands after so long."""
        deadline, pause = time.monotonic() + seconds, 0.1
        while True:
            order = self.order_called(number)
            left = deadline - time.monotonic()
            if order.has_ended or left <= 0:
                return self.order_with_keys(number)
            time.sleep(min(pause, left))
            pause = min(2 * pause, 5.0)

    def cancel(self, number: str) -> Order:
        """Take back an order that was accepted and is not filled yet. Raises Refused (`not_cancellable`)."""
        return Order.read(self._write("POST", f"orders/{quote(number, safe='')}/cancel/"))

    def claim(self, number: str, key: str, reason: str, *, idempotency_key: str | None = None) -> Claim:
        """Say that a card key of the order is dead. There is one claim for a key."""
        body = {"key": key, "reason": reason}
        path = f"orders/{quote(number, safe='')}/claims/"
        return Claim.read(self._write("POST", path, body=body, key=idempotency_key))

    def claims(self, *, after: str = "0") -> Iterator[Claim]:
        """Every claim of this account, the oldest first."""
        return self._all("claims/", "claims", Claim.read, after=after)

    # To whom card keys are encrypted

    def encryption_key(self) -> Mapping[str, Any] | None:
        """The public JWK; None: card keys are told in clear."""
        return _jwk(self._call("GET", "account/encryption-key/"))

    def set_encryption_key(
        self, public_key: str | Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Mapping[str, Any] | None:
        """A PEM or JWK to which all card keys are encrypted from now on, for every client of the account."""
        body = {"pem": public_key} if isinstance(public_key, str) else {"jwk": public_key}
        return _jwk(self._write("PUT", "account/encryption-key/", body=body, key=idempotency_key))

    def remove_encryption_key(self, *, idempotency_key: str | None = None) -> None:
        """Card keys are told in clear again."""
        self._write("DELETE", "account/encryption-key/", key=idempotency_key)

    # Where events are sent to

    def webhooks(self) -> list[Webhook]:
        return [Webhook.read(each) for each in self._call("GET", "webhooks/")["webhooks"]]

    def make_webhook(self, url: str, kinds: Sequence[str], *, idempotency_key: str) -> Webhook:
        """With its secret. The same key is the same webhook, and tells the secret again, for 30 days."""
        body = {"url": url, "kinds": list(kinds)}
        return Webhook.read(self._write("POST", "webhooks/", body=body, key=idempotency_key))

    def pause_webhook(self, key: str, *, idempotency_key: str | None = None) -> Webhook:
        return Webhook.read(
            self._write("POST", f"webhooks/{quote(key, safe='')}/pause/", key=idempotency_key)
        )

    def resume_webhook(self, key: str, *, idempotency_key: str | None = None) -> Webhook:
        """What has waited for it is sent."""
        return Webhook.read(
            self._write("POST", f"webhooks/{quote(key, safe='')}/resume/", key=idempotency_key)
        )

    def remove_webhook(self, key: str, *, idempotency_key: str | None = None) -> None:
        self._write("DELETE", f"webhooks/{quote(key, safe='')}/", key=idempotency_key)

    def send_again(self, delivery: str, *, idempotency_key: str | None = None) -> None:
        """A delivery to a webhook, by its id."""
        self._write("POST", f"webhooks/deliveries/{quote(delivery, safe='')}/replay/", key=idempotency_key)

    # What happened

    def events(self, *, after: str = "") -> Iterator[Event]:
        """What has happened since `after`, an event's cursor, until now. Keep the last one for next time."""
        asked = {"after": after} if after else {}
        while True:
            page = self._call("GET", "events/", asked)
            yield from map(Event.read, page["events"])
            if not page["has_more"]:
                return
            asked = {"after": page["next"]}

    # How it is asked

    def _order(self, said: Mapping[str, Any]) -> Order:
        return Order.read(said, self._opened)

    def _write(
        self, method: str, path: str, *, body: Mapping[str, Any] | None = None, key: str | None = None
    ) -> Any:
        """Once, however often it is sent. None where there is nothing to say."""
        headers = {"Idempotency-Key": key or str(uuid.uuid4())}
        answer = self._answer(method, path, body=body, headers=headers)
        return answer.json() if answer.content else None

    def _all(
        self, path: str, name: str, read: Callable[[Mapping[str, Any]], Read], **asked: str
    ) -> Iterator[Read]:
        after: str | None = asked.pop("after", "0")
        while after is not None:
            page = self._call("GET", path, {**asked, "after": after})
            yield from map(read, page[name])
            after = page["next"]

    def _call(
        self,
        method: str,
        path: str,
        asked: Mapping[str, str] | None = None,
        *,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        return self._answer(method, path, asked, body=body, headers=headers).json()

    def _answer(
        self,
        method: str,
        path: str,
        asked: Mapping[str, str] | None = None,
        *,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        content = b"" if body is None else json.dumps(body).encode()
        wanted = {name: value for name, value in (asked or {}).items() if value}
        request = self._http.build_request(
            method,
            API + path,
            params=wanted,
            content=content,
            headers={**(headers or {}), **({"Content-Type": "application/json"} if body is not None else {})},
        )
        answer = self._send(request, content)
        if answer.is_success:
            return answer
        raise refusal(answer.status_code, _problem(answer))

    def _send(self, request: httpx.Request, content: bytes) -> httpx.Response:
        """Raises NotAnswered."""
        target = request.url.raw_path.decode()
        for left in reversed(range(self._tries)):
            request.headers["Authorization"] = authorization(
                self._key, self._secret, method=request.method, target=target, body=content
            )
            try:
                answer = self._http.send(request)
            except httpx.TransportError as error:
                if not left:
                    raise NotAnswered(str(error) or type(error).__name__) from error
                wait = 0.0
            else:
                if answer.status_code not in TRY_AGAIN or not left:
                    return answer
                wait = _asked_to_wait(answer)
            tried = self._tries - left
            jitter = random.uniform(0.5, 1.0)  # noqa: S311  so that not all come back at once
            time.sleep(max(wait, jitter * min(0.5 * 2**tried, LONGEST_WAIT)))
        raise AssertionError("unreachable")


def _jwk(said: Mapping[str, Any]) -> Mapping[str, Any] | None:
    jwk: Mapping[str, Any] | None = said["jwk"]
    return jwk


def _lines(quantities: Mapping[str, int]) -> list[dict[str, object]]:
    return [{"variant": code, "quantity": quantity} for code, quantity in quantities.items()]


def _asked_to_wait(answer: httpx.Response) -> float:
    said = answer.headers.get("Retry-After", "")
    return min(float(said), LONGEST_WAIT) if said.isdigit() else 0.0


def _problem(answer: httpx.Response) -> Mapping[str, Any]:
    """Also of whatever stands before the shop, and speaks no JSON."""
    try:
        said = answer.json()
    except ValueError:
        return {"detail": answer.text[:200]}
    return said if isinstance(said, dict) else {"detail": str(said)[:200]}
