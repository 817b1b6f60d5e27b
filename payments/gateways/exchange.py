"""One call to a provider over HTTP, short in bytes and in time."""

import time
from collections.abc import Mapping
from typing import Any

import httpx

from payments.gateways.base import GatewayError, Unreachable

MAX_ANSWER_BYTES = 1_000_000
MAX_ANSWER_SECONDS = 10.0
_NOBODY_THERE = {502, 503, 504}  # said by whatever stands in front of the provider


def fetch(http: httpx.Client, method: str, url: str, **request: Any) -> bytes:
    """The body of a 200. Raises GatewayError, as `answer` does."""
    status, content = answer(http, method, url, **request)
    if status != 200:
        raise GatewayError(f"answered {status}")
    return content


def answer(http: httpx.Client, method: str, url: str, **request: Any) -> tuple[int, bytes]:
    """Status and body of what the provider itself said. Raises GatewayError, without quoting the URL: some
    hold a key.

    Once more when a kept connection had been closed under us: no call of ours may not be repeated.
    """
    try:
        try:
            status, content = _read(http, method, url, **request)
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            status, content = _read(http, method, url, **request)
    except httpx.HTTPError as error:
        raise Unreachable(type(error).__name__) from None
    if status in _NOBODY_THERE:
        raise Unreachable(f"answered {status}")
    return status, content


def _read(
    http: httpx.Client, method: str, url: str, *, headers: Mapping[str, str] | None = None, **request: Any
) -> tuple[int, bytes]:
    """The client's own time-outs are for each read: a provider that trickles would never hit them."""
    began, content = time.monotonic(), b""
    headers = {**(headers or {}), "Accept-Encoding": "identity"}
    with http.stream(method, url, headers=headers, **request) as said:
        for part in said.iter_bytes():
            content += part
            if len(content) > MAX_ANSWER_BYTES:
                raise GatewayError("answered too much")
            if time.monotonic() - began > MAX_ANSWER_SECONDS:
                raise Unreachable("answered too slowly")
    return said.status_code, content
