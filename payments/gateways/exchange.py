"""One call to a provider over HTTP, short in bytes and in time."""

import time
from typing import Any

import httpx

from payments.gateways.base import GatewayError, Unreachable

MAX_ANSWER_BYTES = 1_000_000
MAX_ANSWER_SECONDS = 10.0
_NOBODY_THERE = {502, 503, 504}  # said by whatever stands in front of the provider


def fetch(
    http: httpx.Client,
    method: str,
    url: str,
    *,
    once: bool = False,
    most_bytes: int | None = None,
    most_seconds: float | None = None,
    **request: Any,
) -> bytes:
    """The body of a 200. Raises GatewayError, without quoting the URL: some hold a key.

    Once more when a kept connection had been closed under us, unless the call is of those that may be made
    only `once`: nobody knows whether the provider had read it. Above MAX_ANSWER_BYTES and
    MAX_ANSWER_SECONDS only for who says so.
    """
    limits = most_bytes or MAX_ANSWER_BYTES, most_seconds or MAX_ANSWER_SECONDS
    try:
        try:
            status, content = _read(http, method, url, limits, **request)
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            if once:
                raise
            status, content = _read(http, method, url, limits, **request)
    except httpx.HTTPError as error:
        raise Unreachable(type(error).__name__) from None
    if status in _NOBODY_THERE:
        raise Unreachable(f"answered {status}")
    if status != 200:
        raise GatewayError(f"answered {status}")
    return content


def _read(
    http: httpx.Client, method: str, url: str, limits: tuple[int, float], **request: Any
) -> tuple[int, bytes]:
    """The client's own time-outs are for each read: a provider that trickles would never hit them."""
    began, content = time.monotonic(), bytearray()
    most_bytes, most_seconds = limits
    with http.stream(method, url, headers={"Accept-Encoding": "identity"}, **request) as answer:
        for part in answer.iter_bytes():
            content += part
            if len(content) > most_bytes:
                raise GatewayError("answered too much")
            if time.monotonic() - began > most_seconds:
                raise Unreachable("answered too slowly")
    return answer.status_code, bytes(content)
