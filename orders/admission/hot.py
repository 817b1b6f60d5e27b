"""The short way for a click, and for a look at a ticket.

It gives the answers of `orders.admission.api`. There is no log line for each click: ten thousand of them
would say less than the gate's own counters.
"""

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from cardshop.traffic.addresses import client_address
from cardshop.traffic.passes import read_pass
from cardshop.traffic.short_way import Answer, OutOfTheOrdinary, read_json
from orders.admission.answers import ticket_body, ticket_headers, ticket_path
from orders.admission.directory import queued_listing
from orders.admission.entering import click_of, enter_line, look_at_ticket
from orders.clicks import IDEMPOTENCY_KEY

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

TICKETS = "/api/v1/tickets/"
_ONE_TICKET = re.compile(rf"{TICKETS}([-\w]{{1,60}})/([0-9a-f]{{64}})/", re.ASCII)
_TEXTS = ("variant", "contact_email", "pass", "idempotency_key")
_FIELDS = {"quantity", *_TEXTS}
_CODE = re.compile(r"[-\w]{1,60}", re.ASCII)
_PASS = re.compile(r"[-.\w]{1,300}", re.ASCII)  # good or bad, but nothing that Django would trim first
_IDEMPOTENCY_KEY = re.compile(IDEMPOTENCY_KEY, re.ASCII)
_MOST_BODY = 2048  # bytes; a click has some 400
_LONGEST_EMAIL = 254

validate_email("lin@example.org")  # compiles its expressions now, and not under the first click


def ticket(environ: "WSGIEnvironment", language: str) -> Answer:
    """POST /api/v1/tickets/ and GET of one of them."""
    if environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"] == TICKETS:
        return _click(environ, language)
    if environ["REQUEST_METHOD"] == "GET":
        return _look(environ)
    raise OutOfTheOrdinary


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
    """The click's fields, if nothing about them is unusual."""
    wanted = read_json(environ, most=_MOST_BODY)
    usual = (
        wanted.keys() - {"proof"} == _FIELDS
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
    try:
        wanted["contact_email"].encode()  # JSON can spell what UTF-8 cannot
        validate_email(wanted["contact_email"])
    except (ValueError, ValidationError) as error:
        raise OutOfTheOrdinary from error
    return wanted
