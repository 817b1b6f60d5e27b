"""Pages opened before the click: every buyer has a pass and an idempotency key by then."""

import html
import json
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from itertools import chain
from urllib.parse import urlsplit

HANDS = 8
TOLD_EVERY = 1000
_HIDDEN = re.compile(r'<input[^>]*name="(pass|idempotency_key)"[^>]*value="([^"]+)"')


@dataclass(frozen=True)
class Visitor:
    email: str
    address: str


@dataclass(frozen=True)
class OpenedPage:
    visitor: Visitor
    buyer_pass: str
    idempotency_key: str


def open_pages(
    base_url: str, code: str, visitors: Sequence[Visitor], say: Callable[[str], None]
) -> list[OpenedPage]:
    """The buy page of `code` opened once by every visitor, in their order. Raises RuntimeError."""
    done = 0

    def open_share(share: Sequence[Visitor]) -> list[OpenedPage]:
        nonlocal done
        connection = HTTPConnection(urlsplit(base_url).netloc, timeout=60)
        opened = []
        for visitor in share:
            opened.append(_open(connection, code, visitor))
            done += 1  # several threads may lose a count: it is for whoever waits
            if done % TOLD_EVERY == 0 or done == len(visitors):
                say(f"{code}: {done} of {len(visitors)} pages opened")
        connection.close()
        return opened

    size = -(-len(visitors) // HANDS) or 1
    shares = [visitors[start : start + size] for start in range(0, len(visitors), size)]
    with ThreadPoolExecutor(HANDS) as pool:
        return list(chain.from_iterable(pool.map(open_share, shares)))


def _open(connection: HTTPConnection, code: str, visitor: Visitor) -> OpenedPage:
    headers = {"X-Forwarded-For": visitor.address}
    connection.request("GET", f"/buy/{code}/", headers=headers)
    answer = connection.getresponse()
    page = answer.read().decode()
    if answer.status != 200:
        raise RuntimeError(f"GET /buy/{code}/ was answered by {answer.status}")
    hidden = {name: html.unescape(value) for name, value in _HIDDEN.findall(page)}
    if len(hidden) < 2:  # a page that asks for its pass by script
        body = json.dumps({"variant": code})
        connection.request("POST", "/api/v1/passes/", body, {**headers, "Content-Type": "application/json"})
        answer = connection.getresponse()
        hidden = json.loads(answer.read())
        if answer.status != 201:
            raise RuntimeError(f"POST /api/v1/passes/ was answered by {answer.status}")
    return OpenedPage(visitor, hidden["pass"], hidden["idempotency_key"])
