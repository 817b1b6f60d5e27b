"""The short way in front of Django answers as Django does, or leaves the answer to Django."""

import io
import json
import secrets
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event
from unittest.mock import patch

import pytest
import redis
import structlog
from django.core.signals import request_started
from django.db import close_old_connections, connection

from cardshop.common.clock import db_now
from cardshop.traffic.passes import mint_pass
from cardshop.traffic.short_way import short_ways
from cardshop.wsgi import WAYS, django_application, utf8_only
from orders.admission.allocator import Allocator
from orders.admission.directory import forget_listings
from orders.admission.gate import Gate, connect
from orders.models import Sale
from orders.services.delivery import deliver_orders
from tests.factories import make_attempt, make_channel, make_order, make_shop, make_variant, pay_order
from tests.lines import make_sale

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("line")]

CODE = "coins"
TICKETS = "/api/v1/tickets/"
UNKNOWN = f"{TICKETS}{CODE}/{'0' * 64}/"
KEY = "k" * 22
# What a client acts upon, and what protects it. Django adds Allow and a policy for pages.
COMPARED = (
    "Content-Type",
    "Content-Language",
    "Vary",
    "Cache-Control",
    "Retry-After",
    "Location",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "Referrer-Policy",
    "Cross-Origin-Opener-Policy",
    "X-Request-Id",
)
plain_django = utf8_only(django_application)


class Request:
    """A click as our page sends it, but for what is given of fields and environ; None leaves out."""

    def __init__(self, path=TICKETS, *, method="POST", body=None, fields=None, **environ):
        self.path, self.method, self.body, self.fields, self.environ = (
            path,
            method,
            body,
            fields or {},
            environ,
        )

    def to_wsgi(self):
        fields = {
            "variant": CODE,
            "quantity": 1,
            "contact_email": "lin@example.org",
            "pass": a_pass(),
            "idempotency_key": KEY,
            **self.fields,
        }
        fields = {name: value for name, value in fields.items() if value is not None}
        body = json.dumps(fields).encode() if self.body is None else self.body
        if self.method in ("GET", "HEAD"):
            body = b""
        environ = {
            "REQUEST_METHOD": self.method,
            "PATH_INFO": self.path,
            "QUERY_STRING": "",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": "application/json" if body else "",
            "CONTENT_LENGTH": str(len(body)) if body else "",
            "HTTP_HOST": "127.0.0.1",
            "HTTP_X_REQUEST_ID": "the-same-for-both",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
            **self.environ,
        }
        return {name: value for name, value in environ.items() if value is not None}


def a_pass(code=CODE, *, ago=timedelta(0)):
    return mint_pass(variant_code=code, now=datetime.now(UTC) - ago)


def fresh(request):
    """The same request with its body unread."""
    return {**request, "wsgi.input": io.BytesIO(request["wsgi.input"].getvalue())}


def answer(application, request):
    """Status, the headers compared, and the body as it is meant."""
    said = []
    body = b"".join(application(request, lambda status, headers, *_: said.append((status, dict(headers)))))
    ((status, headers),) = said
    is_json = headers.get("Content-Type", "").startswith("application/json")
    meant = json.loads(body) if is_json and body else body
    return status, {name: headers.get(name) for name in COMPARED}, meant


def both_ways(request, before=lambda: None, during=nullcontext):
    """The short way's answer, Django's, and whether the short way asked Django. Each starts anew."""
    asked = []

    def django(environ, start_response):
        asked.append(environ["PATH_INFO"])
        return plain_django(environ, start_response)

    answers = []
    for application in (plain_django, short_ways(django, WAYS)):
        begin_anew()
        before()
        with during():
            answers.append(answer(application, fresh(request)))
    by_django, short = answers
    return short, by_django, bool(asked)


def begin_anew():
    connect().flushdb()
    forget_listings()
    for sale in Sale.objects.all():
        Allocator(sale, Event()).rebuild()


def say_in_gate(**fields):
    """What the allocator would have published."""
    connect().hset(Gate(Sale.objects.get().variant_id).gate, mapping=fields)


ANSWERED_SHORT = {
    "as our page sends it": Request(),
    "in English": Request(HTTP_ACCEPT_LANGUAGE="en-GB,en;q=0.9"),
    "in a language that nobody here speaks": Request(HTTP_ACCEPT_LANGUAGE="tlh"),
    "Chinese, by a name of old": Request(HTTP_ACCEPT_LANGUAGE="zh-CN,zh;q=0.9,en;q=0.8"),
    "a language that makes no sense": Request(HTTP_ACCEPT_LANGUAGE=";;q=x, *"),
    "a charset that is claimed": Request(CONTENT_TYPE="application/json; charset=utf-8"),
    "from our own page, says the browser": Request(HTTP_SEC_FETCH_SITE="same-origin"),
    "typed into the address bar": Request(HTTP_SEC_FETCH_SITE="none"),
    "a client that takes anything": Request(HTTP_ACCEPT="*/*"),
    "a client that takes JSON": Request(HTTP_ACCEPT="application/json"),
    "another host of this shop": Request(HTTP_HOST="demo.localhost:8000"),
    "a cookie of some proxy": Request(HTTP_COOKIE="cdn=1"),
    "no user agent of note": Request(HTTP_USER_AGENT="\xff"),
}
LEFT_TO_DJANGO = {
    "a form": Request(CONTENT_TYPE="application/x-www-form-urlencoded", body=b"quantity=1"),
    "no type": Request(CONTENT_TYPE=""),
    "a type that begins like JSON": Request(CONTENT_TYPE="application/jsonlines"),
    "a patch": Request(CONTENT_TYPE="application/json-patch+json"),
    "a charset that JSON does not have": Request(
        CONTENT_TYPE="application/json; charset=utf-16", body='{"quantity": 1}'.encode("utf-16")
    ),
    "a byte order mark": Request(body=b'\xef\xbb\xbf{"quantity": 1}'),
    "bytes that are no text": Request(body=b'{"variant": "\xff"}'),
    "from another site": Request(HTTP_SEC_FETCH_SITE="cross-site"),
    "from another site of the same owner": Request(HTTP_SEC_FETCH_SITE="same-site"),
    "another origin": Request(HTTP_ORIGIN="https://elsewhere.example"),
    "our own origin": Request(HTTP_ORIGIN="http://127.0.0.1"),
    "an origin hidden by the browser": Request(HTTP_ORIGIN="null"),
    "a long body": Request(fields={"contact_email": "a" * 3000}),
    "a body that is too long for Django, too": Request(body=b" " * 70_000),
    "no body": Request(body=b""),
    "a body that is no JSON": Request(body=b"{"),
    "a body that is no object": Request(body=b"[]"),
    "a body nested without end": Request(body=b"[" * 2000),
    "a chunked body": Request(
        CONTENT_LENGTH=None, HTTP_TRANSFER_ENCODING="chunked", **{"wsgi.input_terminated": True}
    ),
    "a length that is no number": Request(CONTENT_LENGTH="-1"),
    "one field more": Request(fields={"price": 1}),
    "one field less": Request(fields={"contact_email": None}),
    "no pass": Request(fields={"pass": None}),
    "nothing": Request(fields={"quantity": 0}),
    "less than nothing": Request(fields={"quantity": -1}),
    "more than one may have": Request(fields={"quantity": 11}),
    "as many as no integer can hold": Request(fields={"quantity": 10**30}),
    "a quantity in words": Request(fields={"quantity": "one"}),
    "a quantity as text": Request(fields={"quantity": "1"}),
    "half a one": Request(fields={"quantity": 1.5}),
    "true": Request(fields={"quantity": True}),
    "no address": Request(fields={"contact_email": "lin"}),
    "an address with space around it": Request(fields={"contact_email": " lin@example.org "}),
    "an address that is too long": Request(fields={"contact_email": f"{'a' * 60}@{'b.' * 100}example.org"}),
    "an address that is a list": Request(fields={"contact_email": ["lin@example.org"]}),
    "a key that is too short": Request(fields={"idempotency_key": "k"}),
    "a key with a line break": Request(fields={"idempotency_key": KEY + "\n"}),
    "an empty pass": Request(fields={"pass": ""}),
    "a pass with space around it": Request(fields={"pass": f" {a_pass()} "}),
    "a pass that is too long": Request(fields={"pass": "v" * 301}),
    "a pass with a zero in it": Request(fields={"pass": "v1.\x00"}),
    "a variant that is not there": Request(fields={"variant": "nothing", "pass": a_pass("nothing")}),
    "a variant that has no place in any text": Request(fields={"variant": "\ud800"}),
    "an e-mail that has no place in any text": Request(fields={"contact_email": "a@\ud800x.com"}),
    "a variant with a zero in it": Request(fields={"variant": "a\x00b"}),
    "a variant that is sold directly": Request(fields={"variant": "direct", "pass": a_pass("direct")}),
    "a foreign host": Request(HTTP_HOST="elsewhere.example"),
    "no host": Request(HTTP_HOST=None),
    "a host that is none": Request(HTTP_HOST="a b"),
    "a client that takes pages only": Request(HTTP_ACCEPT="text/html"),
    "another format by the address": Request(QUERY_STRING="format=xml"),
    "a language by cookie": Request(HTTP_COOKIE="django_language=en"),
    "PUT": Request(method="PUT"),
    "GET of all tickets": Request(method="GET"),
    "HEAD": Request(UNKNOWN, method="HEAD"),
    "OPTIONS": Request(method="OPTIONS", body=b""),
    "GET of an unknown ticket": Request(UNKNOWN, method="GET"),
    "GET of what is no ticket": Request(f"{TICKETS}{CODE}/nothing/", method="GET"),
    "GET of a ticket of another variant": Request(f"{TICKETS}nothing/{'0' * 64}/", method="GET"),
    "GET without the last slash": Request(UNKNOWN[:-1], method="GET"),
    "DELETE": Request(UNKNOWN, method="DELETE", body=b""),
}
BAD_PASSES = {
    "no pass at all": "v1.nonsense",
    "an altered one": a_pass()[:-1] + "_",
    "one of another buyer's, sewn on": a_pass()[:26] + a_pass()[26:],
    "an expired one": a_pass(ago=timedelta(hours=3)),
    "another variant's": a_pass("gems"),
}
AT_THE_GATE = {
    "not open yet": {"opens": 2**40},
    "ended": {"closes": 1},
    "paused": {"paused": 1},
    "full": {"limit": 0},
    "sold out": {"limit": 0, "over": "sold_out"},
}


@pytest.fixture(autouse=True)
def _kept_connection():
    """As Django's own test client does: a request would end the test's transaction with its connection."""
    request_started.disconnect(close_old_connections)
    yield
    request_started.connect(close_old_connections)


@pytest.fixture(autouse=True)
def _goods():
    """Something sold through a line, and something without one."""
    make_sale(keys=5, code=CODE)
    make_variant(keys=5, code="direct")


@pytest.mark.parametrize("request_", ANSWERED_SHORT.values(), ids=ANSWERED_SHORT)
def test_an_ordinary_click_is_answered_as_django_would(request_):
    short, by_django, django_was_asked = both_ways(request_.to_wsgi())

    assert short == by_django
    assert short[0] == "202 Accepted"
    assert short[2]["status"] == "queued"
    assert not django_was_asked


@pytest.mark.parametrize("request_", LEFT_TO_DJANGO.values(), ids=LEFT_TO_DJANGO)
def test_anything_odd_is_left_to_django_with_its_body_unread(request_):
    short, by_django, django_was_asked = both_ways(request_.to_wsgi())

    assert short == by_django
    assert not short[0].startswith("5")
    assert django_was_asked


@pytest.mark.parametrize("passed", BAD_PASSES.values(), ids=BAD_PASSES)
def test_a_bad_pass_is_refused_in_the_same_words(passed):
    short, by_django, django_was_asked = both_ways(Request(fields={"pass": passed}).to_wsgi())

    assert short == by_django
    assert short[0] == "403 Forbidden"
    assert not django_was_asked


@pytest.mark.parametrize("accepted", ["en", "zh-hans"])
@pytest.mark.parametrize("published", AT_THE_GATE.values(), ids=AT_THE_GATE)
def test_a_no_is_said_in_the_same_words(published, accepted):
    request = Request(HTTP_ACCEPT_LANGUAGE=accepted).to_wsgi()

    short, by_django, django_was_asked = both_ways(request, before=lambda: say_in_gate(**published))

    assert short == by_django
    assert short[0] == "409 Conflict"
    assert not django_was_asked


def test_the_fourth_ticket_of_one_buyer_is_refused_in_the_same_words():
    def three_tickets():
        for _ in range(3):
            assert answer(plain_django, click_of_lin())[0] == "202 Accepted"

    def click_of_lin():
        return Request(fields={"idempotency_key": secrets.token_hex(16)}).to_wsgi()

    short, by_django, django_was_asked = both_ways(click_of_lin(), before=three_tickets)

    assert short == by_django
    assert short[0] == "429 Too Many Requests"
    assert not django_was_asked


def test_a_repeated_click_and_a_look_find_the_same_ticket():
    request = Request().to_wsgi()
    begin_anew()
    location = answer(plain_django, fresh(request))[1]["Location"]

    for again in (request, Request(location, method="GET").to_wsgi()):
        short, by_django, django_was_asked = both_ways(
            again, before=lambda: answer(plain_django, fresh(request))
        )

        assert short == by_django
        assert short[2]["ticket"] in location
        assert not django_was_asked


@pytest.mark.parametrize("request_", [Request(), Request(UNKNOWN, method="GET")], ids=["click", "look"])
def test_with_the_gate_shut_both_ask_for_patience(request_):
    short, by_django, _ = both_ways(request_.to_wsgi(), before=lambda: connect().flushdb())

    assert short == by_django
    assert short[0] == "503 Service Unavailable"
    assert short[1]["Retry-After"] == "2"


@pytest.mark.parametrize("request_", [Request(), Request(UNKNOWN, method="GET")], ids=["click", "look"])
def test_with_redis_away_both_ask_for_patience(request_):
    away = partial(patch, "orders.admission.gate.connect", side_effect=redis.ConnectionError)

    short, by_django, _ = both_ways(request_.to_wsgi(), during=away)

    assert short == by_django
    assert short[0] == "503 Service Unavailable"


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_broke_while_idle_is_replaced():
    begin_anew()
    connection.connection.close()  # as a PostgreSQL that was restarted leaves it

    short = answer(short_ways(plain_django, WAYS), Request().to_wsgi())

    assert short[0] == "202 Accepted"


def orders_in_every_state():
    """A look at each kind of order, and at its keys."""
    make_channel()
    variant = make_variant(keys=9)
    pending, tried, short, paid, delivered = (make_order(variant) for _ in range(5))
    make_attempt(tried)
    pay_order(short, amount_minor=1)
    pay_order(paid)
    pay_order(delivered)
    deliver_orders([delivered.pk], db_now())
    return [pending, tried, short, paid, delivered]


@pytest.mark.parametrize("language", ["zh-CN", "en", "tlh"])
def test_a_look_at_an_order_is_answered_in_front_of_django(language):
    for order in orders_in_every_state():
        for what in ("", "keys/"):
            path = f"/api/v1/orders/{order.token}/{what}"
            request = Request(path, method="GET", HTTP_ACCEPT_LANGUAGE=language).to_wsgi()

            short, by_django, asked = both_ways(request)

            assert short[0] == "200 OK"
            assert without_clock(short) == without_clock(by_django)
            assert not asked


def without_clock(answered):
    """`seconds_left` may be one less a moment later."""
    status, headers, said = answered
    return status, headers, {name: value for name, value in said.items() if name != "seconds_left"}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", {}),
        ("cancel/", {}),
        ("keys", {}),
        ("", {"HTTP_HOST": "elsewhere.example"}),
        ("", {"HTTP_HOST": ""}),
        ("", {"QUERY_STRING": "format=api"}),
        ("", {"HTTP_ACCEPT": "text/html"}),
    ],
)
def test_what_is_odd_about_a_look_at_an_order_is_left_to_django(path, said):
    token = make_order(make_variant(keys=1)).token if said else "0" * 22
    request = Request(f"/api/v1/orders/{token}/{path}", method="GET", **said).to_wsgi()

    short, by_django, asked = both_ways(request)

    assert short == by_django
    assert asked


def test_another_shops_order_is_not_found_in_front_of_django_either():
    order = make_order(make_variant(keys=1))
    make_shop("other")
    request = Request(f"/api/v1/orders/{order.token}/", method="GET", HTTP_HOST="other.localhost").to_wsgi()

    short, by_django, _ = both_ways(request)

    assert short == by_django
    assert short[0] == "404 Not Found"


def test_nobody_is_logged_under_the_order_that_was_looked_at_before():
    order = make_order(make_variant(keys=1))
    application = short_ways(plain_django, WAYS)

    answer(application, Request(f"/api/v1/orders/{order.token}/", method="GET").to_wsgi())
    answer(application, Request(UNKNOWN, method="GET").to_wsgi())

    assert "order" not in structlog.contextvars.get_contextvars()
