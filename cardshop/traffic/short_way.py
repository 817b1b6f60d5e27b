"""The short way in: what is asked most, answered in front of Django.

Most of what Django does for a page (a dozen layers of middleware, a log line) means nothing to a click
or to a look at how things stand, and in a rush costs more than the answer itself. A way answers only what
is well-formed. Whatever is out of the ordinary, wrong input above all, goes on to Django, whose views know
every rule and say what is wrong; both give the same answers.
"""

import io
import json
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from http import HTTPStatus
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http.request import split_domain_port, validate_host
from django.utils import translation

from cardshop.common.errors import DomainError
from cardshop.common.tracing import name_span
from cardshop.traffic.metrics import count_request

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from django.utils.functional import Promise

JSON = "application/json"
LONGEST_HOST = 255  # characters; what is longer is not worth remembering
_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{8,64}", re.ASCII)
_TOLD_HERE = (403, 409, 428, 429, 503)

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers of its own, and a body of JSON."""
Way = Callable[["WSGIEnvironment", str], Answer]
"""Answers a request in a language. Raises OutOfTheOrdinary, or a DomainError to be told."""


class OutOfTheOrdinary(Exception):
    """Left to Django."""


def short_ways(inner: "WSGIApplication", ways: Mapping[str, Way]) -> "WSGIApplication":
    """`inner`, with a way in front of it for every path that begins with one of the prefixes."""

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        prefix = next((prefix for prefix in ways if environ["PATH_INFO"].startswith(prefix)), None)
        if prefix is None:
            return inner(environ, start_response)
        name_span(f"{environ['REQUEST_METHOD']} {prefix}")
        started = time.monotonic()
        structlog.contextvars.clear_contextvars()  # of whom this thread has served before
        try:
            status, headers, body = _answer(environ, ways[prefix])
        except (OutOfTheOrdinary, DatabaseError, InterfaceError):
            return inner(environ, start_response)
        start_response(
            f"{status} {HTTPStatus(status).phrase}",
            [
                ("Content-Type", JSON),
                ("Content-Length", str(len(body))),
                ("X-Request-Id", request_id(environ)),
                *headers.items(),
                *security_headers(),
            ],
        )
        count_request(
            route=prefix[1:],
            method=environ["REQUEST_METHOD"],
            status=status,
            seconds=time.monotonic() - started,
            part="short",
        )
        return [body]

    return application


def read_json(environ: "WSGIEnvironment", *, most: int) -> dict[str, Any]:
    """The body of at most so many bytes: a JSON object, from our own pages or from no page at all.

    Raises OutOfTheOrdinary; Django can still read the body then.
    """
    length = environ.get("CONTENT_LENGTH") or ""
    if not (length.isdigit() and 0 < int(length) <= most):
        raise OutOfTheOrdinary
    body = environ["wsgi.input"].read(int(length))
    environ["wsgi.input"] = io.BytesIO(body)
    if not (_kind(environ.get("CONTENT_TYPE", "")) == JSON and _from_our_pages(environ)):
        raise OutOfTheOrdinary
    try:
        read = json.loads(body.decode())
    except (ValueError, RecursionError) as error:
        raise OutOfTheOrdinary from error
    if not isinstance(read, dict):
        raise OutOfTheOrdinary
    return read


def allowed(host: str) -> bool:
    """Whether Django would serve this host, and it is short enough to be remembered."""
    return len(host) <= LONGEST_HOST and validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS)


def _answer(environ: "WSGIEnvironment", way: Way) -> Answer:
    if settings.SECURE_SSL_REDIRECT and environ.get("HTTP_X_FORWARDED_PROTO") != "https":
        raise OutOfTheOrdinary
    if "HTTP_COOKIE" in environ and settings.LANGUAGE_COOKIE_NAME in environ["HTTP_COOKIE"]:
        raise OutOfTheOrdinary
    if environ.get("QUERY_STRING") or not _takes_json(environ.get("HTTP_ACCEPT", "*/*")):
        raise OutOfTheOrdinary
    language = language_accepted(environ.get("HTTP_ACCEPT_LANGUAGE", ""))
    try:
        answer = way(environ, language)
    except DomainError as refusal:
        if refusal.http_status not in _TOLD_HERE:
            raise OutOfTheOrdinary from refusal
        answer = _refused(refusal, language)
    answer[1]["Content-Language"] = language
    answer[1]["Vary"] = "Accept-Language"
    return answer


def _kind(media_type: str) -> str:
    return media_type.partition(";")[0].strip()


@lru_cache(maxsize=1024)
def _takes_json(accepted: str) -> bool:
    return any(_kind(media_type) in (JSON, "application/*", "*/*") for media_type in accepted.split(","))


def _from_our_pages(environ: "WSGIEnvironment") -> bool:
    site = environ.get("HTTP_SEC_FETCH_SITE")
    return site in ("same-origin", "none") if site else "HTTP_ORIGIN" not in environ


def _refused(refusal: DomainError, language: str) -> Answer:
    headers = {"Cache-Control": "no-store", **refusal.headers()}
    body = _refusal_body(refusal.code, refusal.message, language)
    if refusal.extra:
        body = json.dumps({**json.loads(body), **refusal.extra}, ensure_ascii=False).encode()
    return refusal.http_status, headers, body


@lru_cache(maxsize=64)
def _refusal_body(code: str, message: "str | Promise", language: str) -> bytes:
    with translation.override(language):
        said = {"code": code, "message": str(message), "fields": {}}
    return json.dumps(said, ensure_ascii=False).encode()


@lru_cache(maxsize=1024)
def language_accepted(accepted: str) -> str:
    request: Any = SimpleNamespace(COOKIES={}, META={"HTTP_ACCEPT_LANGUAGE": accepted})
    return translation.get_language_from_request(request)


def request_id(environ: "WSGIEnvironment") -> str:
    given = environ.get("HTTP_X_REQUEST_ID", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


@lru_cache(maxsize=1)
def security_headers() -> tuple[tuple[str, str], ...]:
    """What SecurityMiddleware adds to every answer."""
    headers = [
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", settings.SECURE_REFERRER_POLICY or "same-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("X-Frame-Options", settings.X_FRAME_OPTIONS),
    ]
    if settings.SECURE_HSTS_SECONDS:
        headers.append(
            (
                "Strict-Transport-Security",
                f"max-age={settings.SECURE_HSTS_SECONDS}; includeSubDomains; preload",
            )
        )
    return tuple(headers)
