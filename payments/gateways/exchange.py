"""One call to a provider over HTTP, short in bytes and in time."""

import time
from dataclasses import dataclass
from typing import Any

import httpx

from payments.gateways.base import GatewayError, Unreachable

MAX_ANSWER_BYTES = 1_000_000
MAX_ANSWER_SECONDS = 10.0
_NOBODY_THERE = {502, 503, 504}  # said by whatever stands in front of the provider


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Of whatever status but those that only say that nobody is there."""

    status: int
    headers: httpx.Headers
    content: bytes


def fetch(http: httpx.Client, method: str, url: str, **request: Any) -> bytes:
    """The body of a 200. Raises GatewayError, without quoting the URL: some hold a key."""
    answer = ask(http, method, url, **request)
    if answer.status != 200:
        raise GatewayError(f"answered {answer.status}")
    return answer.content


def ask(
    http: httpx.Client,
    method: str,
    url: str,
    *,
    most_bytes: int | None = None,
    most_seconds: float | None = None,
    **request: Any,
) -> Answer:
    """The answer, for those whose provider says no by its status. Raises GatewayError, as fetch() does.

    Once more when a kept connection had been closed under us: no call of ours may not be repeated.
    """
    limits = (most_bytes or MAX_ANSWER_BYTES, most_seconds or MAX_ANSWER_SECONDS)
    try:
        try:
            answer = _read(http, method, url, limits, **request)
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            answer = _read(http, method, url, limits, **request)
    except httpx.HTTPError as error:
        raise Unreachable(type(error).__name__) from None
    if answer.status in _NOBODY_THERE:
        raise Unreachable(f"answered {answer.status}")
    return answer


def _read(http: httpx.Client, method: str, url: str, limits: tuple[int, float], **request: Any) -> Answer:
    """The client's own time-outs are for each read: a provider that trickles would never hit them."""
    most_bytes, most_seconds = limits
    headers = {**request.pop("headers", {}), "Accept-Encoding": "identity"}
    began, content = time.monotonic(), bytearray()
    with http.stream(method, url, headers=headers, **request) as answer:
        for part in answer.iter_bytes():
            content += part
            if len(content) > most_bytes:
                raise GatewayError("answered too much")
            if time.monotonic() - began > most_seconds:
                raise Unreachable("answered too slowly")
    return Answer(status=answer.status_code, headers=answer.headers, content=bytes(content))
