"""The short way in: a well-formed click, or a look at a ticket, answered in front of Django.

Most of what Django does for a page (sessions, cookies, messages, a dozen layers of middleware) means
nothing to a click, and in a rush costs more than the click itself. Whatever is out of the ordinary,
wrong input above all, goes on to `orders.admission.api`, which knows every rule and says what is wrong;
both ways give the same answers. There is no log line for each click: ten thousand of them would say
less than the gate's own counters.
"""

import io
import json
import re
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from http import HTTPStatus
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import DatabaseError, InterfaceError
from django.utils import translation

from cardshop.common.errors import DomainError
from cardshop.traffic.addresses import client_address
from cardshop.traffic.passes import read_pass
from orders.admission.answers import ticket_body, ticket_headers, ticket_path
from orders.admission.directory import queued_listing
from orders.admission.entering import click_of, enter_line, look_at_ticket
from orders.clicks import IDEMPOTENCY_KEY

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from django.utils.functional import Promise

TICKETS = "/api/v1/tickets/"
JSON = "application/json"
_ONE_TICKET = re.compile(rf"{TICKETS}([-\w]{{1,60}})/([0-9a-f]{{64}})/", re.ASCII)
_TEXTS = ("variant", "contact_email", "pass", "idempotency_key")
_FIELDS = {"quantity", *_TEXTS}
_CODE = re.compile(r"[-\w]{1,60}", re.ASCII)
_PASS = re.compile(r"[-.\w]{1,300}", re.ASCII)  # good or bad, but nothing that Django would trim first
_IDEMPOTENCY_KEY = re.compile(IDEMPOTENCY_KEY, re.ASCII)
_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{8,64}", re.ASCII)
_MOST_BODY = 2048  # bytes; a click has some 400
_LONGEST_EMAIL = 254

Answer = tuple[int, dict[str, str], bytes]


class OutOfTheOrdinary(Exception):
    """Left to Django."""


def short_way(inner: "WSGIApplication") -> "WSGIApplication":
    """`inner`, with the admission of clicks in front of it."""
    validate_email("lin@example.org")  # compiles its expressions now, and not under the first click

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if not environ["PATH_INFO"].startswith(TICKETS):
            return inner(environ, start_response)
        try:
            status, headers, body = _answer(environ)
        except (OutOfTheOrdinary, DatabaseError, InterfaceError):
            return inner(environ, start_response)
        start_response(
            f"{status} {HTTPStatus(status).phrase}",
            [
                ("Content-Type", JSON),
                ("Content-Length", str(len(body))),
                ("X-Request-Id", _request_id(environ)),
                *headers.items(),
                *_security_headers(),
            ],
        )
        return [body]

    return application


def _answer(environ: "WSGIEnvironment") -> Answer:
    if settings.SECURE_SSL_REDIRECT and environ.get("HTTP_X_FORWARDED_PROTO") != "https":
        raise OutOfTheOrdinary
    if "HTTP_COOKIE" in environ and settings.LANGUAGE_COOKIE_NAME in environ["HTTP_COOKIE"]:
        raise OutOfTheOrdinary
    if environ.get("QUERY_STRING") or not _takes_json(environ.get("HTTP_ACCEPT", "*/*")):
        raise OutOfTheOrdinary
    language = _language(environ.get("HTTP_ACCEPT_LANGUAGE", ""))
    try:
        if environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"] == TICKETS:
            answer = _click(environ, language)
        elif environ["REQUEST_METHOD"] == "GET":
            answer = _look(environ)
        else:
            raise OutOfTheOrdinary
    except DomainError as refusal:
        if refusal.http_status not in (403, 409, 428, 429, 503):
            raise OutOfTheOrdinary from refusal
        answer = _refused(refusal, language)
    answer[1]["Content-Language"] = language
    answer[1]["Vary"] = "Accept-Language"
    return answer


def _click(environ: "WSGIEnvironment", language: str) -> Answer:
    wanted = _read(environ)
    listing = queued_listing(environ.get("HTTP_HOST", ""), wanted["variant"])
    if listing is None or not listing.least <= wanted["quantity"] <= listing.most:
        raise OutOfTheOrdinary
    now = datetime.now(UTC)
    if listing.registers_at(now.timestamp()):
        raise OutOfTheOrdinary  # a row in PostgreSQL
    click = click_of(
        listing,
        read_pass(wanted["pass"], variant_code=listing.code, now=now),
        quantity=wanted["quantity"],
        contact_email=wanted["contact_email"],
        idempotency_key=wanted["idempotency_key"],
        language=language,
        address=client_address(environ),
    )
    standing = enter_line(listing, click, proof=wanted.get("proof", ""))
    headers = ticket_headers(standing)
    headers["Location"] = ticket_path(listing.code, click.ticket_id)
    return 202, headers, json.dumps(ticket_body(click.ticket_id, standing)).encode()


def _look(environ: "WSGIEnvironment") -> Answer:
    if not (named := _ONE_TICKET.fullmatch(environ["PATH_INFO"])):
        raise OutOfTheOrdinary
    code, ticket_id = named.groups()
    listing = queued_listing(environ.get("HTTP_HOST", ""), code)
    if listing is None:
        raise OutOfTheOrdinary
    standing = look_at_ticket(listing.variant_id, ticket_id)
    return 200, ticket_headers(standing), json.dumps(ticket_body(ticket_id, standing)).encode()


def _read(environ: "WSGIEnvironment") -> dict[str, Any]:
    """The click's fields, if nothing about them is unusual. Django can still read the body after it."""
    length = environ.get("CONTENT_LENGTH") or ""
    if not (length.isdigit() and 0 < int(length) <= _MOST_BODY):
        raise OutOfTheOrdinary
    body = environ["wsgi.input"].read(int(length))
    environ["wsgi.input"] = io.BytesIO(body)
    if not (_kind(environ.get("CONTENT_TYPE", "")) == JSON and _from_our_pages(environ)):
        raise OutOfTheOrdinary
    try:
        wanted = json.loads(body.decode())
        usual = (
            isinstance(wanted, dict)
            and wanted.keys() - {"proof"} == _FIELDS
            and type(wanted.get("proof", "")) is str
            and type(wanted["quantity"]) is int
            and all(type(wanted[name]) is str for name in _TEXTS)
            and _CODE.fullmatch(wanted["variant"])
            and _PASS.fullmatch(wanted["pass"])
            and _IDEMPOTENCY_KEY.fullmatch(wanted["idempotency_key"])
            and len(wanted["contact_email"]) <= _LONGEST_EMAIL
        )
        if not usual:
            raise OutOfTheOrdinary
        wanted["contact_email"].encode()  # JSON can spell what UTF-8 cannot
        validate_email(wanted["contact_email"])
    except (ValueError, RecursionError, ValidationError) as error:
        raise OutOfTheOrdinary from error
    return dict(wanted)


def _kind(media_type: str) -> str:
    return media_type.partition(";")[0].strip()


@lru_cache(maxsize=1024)
def _takes_json(accepted: str) -> bool:
    return any(_kind(media_type) in (JSON, "application/*", "*/*") for media_type in accepted.split(","))


def _from_our_pages(environ: "WSGIEnvironment") -> bool:
    site = environ.get("HTTP_SEC_FETCH_SITE")
    return site in ("same-origin", "none") if site else "HTTP_ORIGIN" not in environ


def _refused(refusal: DomainError, language: str) -> Answer:
    headers = {"Cache-Control": "no-store"}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(refusal.retry_after)
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
def _language(accepted: str) -> str:
    request: Any = SimpleNamespace(COOKIES={}, META={"HTTP_ACCEPT_LANGUAGE": accepted})
    return translation.get_language_from_request(request)


def _request_id(environ: "WSGIEnvironment") -> str:
    given = environ.get("HTTP_X_REQUEST_ID", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


@lru_cache(maxsize=1)
def _security_headers() -> tuple[tuple[str, str], ...]:
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
