"""One call to a provider over HTTP, short in bytes and in time."""

import json
from dataclasses import dataclass
from typing import Any

import httpx
from django.conf import settings

from cardshop.common.deadline import within
from payments.gateways.base import GatewayError, Unreachable

MAX_ANSWER_BYTES = 1_000_000
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


def fetch_json(http: httpx.Client, method: str, url: str, **request: Any) -> dict[str, Any]:
    """The answer's JSON object, its decimals as text. Raises GatewayError."""
    content = fetch(http, method, url, **request)
    try:
        # Numbers stay text: a float could already have lost a fen.
        said = json.loads(content, parse_float=str)
    except (ValueError, RecursionError):
        raise GatewayError("answered what is not JSON") from None
    if not isinstance(said, dict):
        raise GatewayError("answered what is not an object")
    return said


def ask(
    http: httpx.Client,
    method: str,
    url: str,
    *,
    once: bool = False,
    most_bytes: int | None = None,
    most_seconds: float | None = None,
    **request: Any,
) -> Answer:
    """The answer, for those whose provider says no by its status. Raises GatewayError, as fetch() does.

    Once more when a kept connection had been closed under us, unless the call is of those that may be made
    only `once`: nobody knows whether the provider had read it. All of it together takes
    PROVIDER_TOTAL_TIMEOUT and MAX_ANSWER_BYTES at most, and above them only for who says so.
    """
    most = most_bytes or MAX_ANSWER_BYTES
    try:
        with within(most_seconds or settings.PROVIDER_TOTAL_TIMEOUT) as call:
            try:
                answer = _read(http, method, url, most, **request)
            except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
                if once or call.connected:
                    raise  # or nobody had closed this one beforehand
                answer = _read(http, method, url, most, **request)
    except httpx.HTTPError as error:
        raise Unreachable(type(error).__name__) from None
    if answer.status in _NOBODY_THERE:
        raise Unreachable(f"answered {answer.status}")
    return answer


def _read(http: httpx.Client, method: str, url: str, most_bytes: int, **request: Any) -> Answer:
    headers = {**request.pop("headers", {}), "Accept-Encoding": "identity"}
    content = bytearray()
    with http.stream(method, url, headers=headers, **request) as answer:
        for part in answer.iter_bytes():
            content += part
            if len(content) > most_bytes:
                raise GatewayError("answered too much")
    return Answer(status=answer.status_code, headers=answer.headers, content=bytes(content))
