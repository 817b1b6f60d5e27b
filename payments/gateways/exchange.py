"""One call to a provider over HTTP, short in bytes and in time."""

from typing import Any

import httpx
from django.conf import settings

from payments.gateways.base import GatewayError, Unreachable
from payments.gateways.deadline import within

MAX_ANSWER_BYTES = 1_000_000
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
    only `once`: nobody knows whether the provider had read it. All of it together takes
    PROVIDER_TOTAL_TIMEOUT and MAX_ANSWER_BYTES at most, and above them only for who says so.
    """
    most = most_bytes or MAX_ANSWER_BYTES
    try:
        with within(most_seconds or settings.PROVIDER_TOTAL_TIMEOUT) as call:
            try:
                status, content = _read(http, method, url, most, **request)
            except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
                if once or call.connected:
                    raise  # or nobody had closed this one beforehand
                status, content = _read(http, method, url, most, **request)
    except httpx.HTTPError as error:
        raise Unreachable(type(error).__name__) from None
    if status in _NOBODY_THERE:
        raise Unreachable(f"answered {status}")
    if status != 200:
        raise GatewayError(f"answered {status}")
    return content


def _read(http: httpx.Client, method: str, url: str, most_bytes: int, **request: Any) -> tuple[int, bytes]:
    content = bytearray()
    with http.stream(method, url, headers={"Accept-Encoding": "identity"}, **request) as answer:
        for part in answer.iter_bytes():
            content += part
            if len(content) > most_bytes:
                raise GatewayError("answered too much")
    return answer.status_code, bytes(content)
