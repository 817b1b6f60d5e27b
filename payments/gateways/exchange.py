"""One call to a provider over HTTP, short in bytes and in time."""

from typing import Any

import httpx
from django.conf import settings

from payments.gateways.base import GatewayError, Unreachable
from payments.gateways.deadline import within

MAX_ANSWER_BYTES = 1_000_000
_NOBODY_THERE = {502, 503, 504}  # said by whatever stands in front of the provider


def fetch(http: httpx.Client, method: str, url: str, **request: Any) -> bytes:
    """The body of a 200. Raises GatewayError, without quoting the URL: some hold a key.

    Once more when a kept connection had been closed under us: no call of ours may not be repeated. All of
    it together takes PROVIDER_TOTAL_TIMEOUT at most.
    """
    try:
        with within(settings.PROVIDER_TOTAL_TIMEOUT) as call:
            try:
                status, content = _read(http, method, url, **request)
            except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
                if call.connected:
                    raise  # nobody had closed this one beforehand
                status, content = _read(http, method, url, **request)
    except httpx.HTTPError as error:
        raise Unreachable(type(error).__name__) from None
    if status in _NOBODY_THERE:
        raise Unreachable(f"answered {status}")
    if status != 200:
        raise GatewayError(f"answered {status}")
    return content


def _read(http: httpx.Client, method: str, url: str, **request: Any) -> tuple[int, bytes]:
    content = b""
    with http.stream(method, url, headers={"Accept-Encoding": "identity"}, **request) as answer:
        for part in answer.iter_bytes():
            content += part
            if len(content) > MAX_ANSWER_BYTES:
                raise GatewayError("answered too much")
    return answer.status_code, content
