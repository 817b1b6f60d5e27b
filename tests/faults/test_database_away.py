"""The database is stopped, full, read-only, locked or half migrated: every address asks to come again."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
import pytest
from django.db import connection, transaction
from django.db.models import Model
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from cardshop.common.clock import db_now
from cardshop.traffic.passes import mint_pass
from inventory.models import Stock, Variant
from orders.models import Order
from tests.factories import make_order, make_variant

pytestmark = pytest.mark.django_db(transaction=True)

# They read no database, or say in their own way that it is away.
WITHOUT_DATABASE = ("healthz", "readyz", "metrics", "api/schema/", "api/docs/")
# No such visit is going on, and that is all one needs to know.
NOT_FOUND = ("pay/wechat/",)
# Whoever has no session is led to where they log in, which takes no database.
SOMEBODYS = {f"cardshop_reseller_{language}": "of-a-member" for language in ("zh-hans", "en")}
A_KEY = f"Bearer ck_{'a' * 20}.secret"


def routes(patterns: list[URLPattern | URLResolver], before: str = "") -> Iterator[str]:
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
        else:
            yield route


# Of each kind of part of an address.
SOME = {"slug": "0123456789abcdef" * 4, "int": "1", "uuid": "01234567-89ab-4def-8123-456789abcdef"}


def buyers_addresses() -> list[str]:
    known = [route for route in routes(get_resolver().url_patterns) if not route.startswith("admin/")]
    assert len(known) > 25
    served = [route for route in known if route not in WITHOUT_DATABASE + NOT_FOUND]
    plain = [re.sub(r"<(\w+):\w+>", lambda kind: SOME.get(kind[1], SOME["slug"]), route) for route in served]
    pages = [path for path in plain if not path.startswith(("api/", "pay/", "media/", "robots", "sitemap"))]
    return [f"/{path}" for path in plain] + [f"/en/{path}" for path in pages]


@contextmanager
def connected_by(**settings: object) -> Iterator[None]:
    """This thread's connection is made anew, in that way."""
    connection.close()
    usual = {name: connection.settings_dict[name] for name in settings}
    connection.settings_dict.update(settings)
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict.update(usual)


@pytest.fixture
def stopped() -> Iterator[None]:
    with connected_by(HOST="127.0.0.1", PORT="1"):
        yield


def told(body: dict[str, str]) -> str:
    return body["detail"] if "detail" in body else body["message"]


def asks_to_come_again(answer: HttpResponse, path: str) -> None:
    assert (answer.status_code, path) == (503, path)
    assert int(answer["Retry-After"]) in range(3, 9), path
    assert answer["Cache-Control"] == "no-store", path


@pytest.mark.usefixtures("stopped")
@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_with_the_database_stopped_every_address_asks_to_come_again(language):
    words = {"zh-CN": "没有丢失", "en": "Nothing was lost"}
    for path in buyers_addresses():
        client = Client()
        client.cookies.load(SOMEBODYS)
        answer = client.get(path, headers={"Accept-Language": language, "Authorization": A_KEY})

        if answer.status_code in (302, 405):  # is to be posted to
            continue
        asks_to_come_again(answer, path)
        spoken = "en" if path.startswith("/en/") else language if path.startswith("/api/") else "zh-CN"
        text = told(answer.json()) if path.startswith("/api/") else answer.content.decode()
        assert words[spoken] in text, path


@pytest.mark.usefixtures("stopped")
@pytest.mark.parametrize("prefix", ["", "/en"])
@pytest.mark.parametrize("path", ["/buy/coins/", "/o/0123456789abcdef/pay/", "/o/0123456789abcdef/cancel/"])
def test_what_was_posted_is_told_how_to_be_sent_again_and_no_page_sends_it_by_itself(prefix, path):
    answer = Client().post(prefix + path, {"quantity": "1"})

    asks_to_come_again(answer, path)
    page = answer.content.decode()
    assert ("makes no second order" if prefix else "不会因此多出一个订单") in page
    assert "http-equiv" not in page


@pytest.mark.usefixtures("stopped")
def test_a_page_that_was_only_asked_for_asks_again_by_itself():
    answer = Client().get("/en/")

    assert f'<meta http-equiv="refresh" content="{answer["Retry-After"]}">' in answer.content.decode()


@pytest.mark.usefixtures("stopped")
def test_a_crowd_is_not_told_the_same_second():
    told = {Client().get("/api/v1/products/")["Retry-After"] for _ in range(60)}

    assert len(told) > 1


@pytest.mark.usefixtures("stopped")
def test_staff_are_asked_to_come_again_too():
    client = Client()
    client.cookies["cardshop_admin"] = "a-session-that-nobody-can-read-now"

    asks_to_come_again(client.get("/admin/"), "/admin/")


@pytest.fixture
def form() -> dict[str, str]:
    variant = make_variant(keys=2, code="coins")
    return {
        "quantity": "1",
        "contact_email": "lin@example.org",
        "pass": mint_pass(variant_code=variant.code, now=db_now()),
        "idempotency_key": "k" * 16,
    }


def buy(form: dict[str, str]) -> HttpResponse:
    return Client().post("/en/buy/coins/", form)


def is_bought_at_the_second_try(form: dict[str, str]) -> None:
    assert not Order.objects.exists()
    assert buy(form).status_code == 303
    assert Order.objects.count() == 1


@contextmanager
def full() -> Iterator[None]:
    """Nobody gets another connection."""
    connection.close()
    last = psycopg2.connect(**connection.get_connection_params())
    last.autocommit = True
    name = connection.settings_dict["NAME"]
    with last.cursor() as cursor:
        cursor.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT 0')
        try:
            with pytest.raises(psycopg2.OperationalError, match="too many connections"):
                psycopg2.connect(**connection.get_connection_params())
            yield
        finally:
            cursor.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT -1')
    last.close()


def test_with_too_many_connections_nothing_is_ordered_and_the_same_form_orders_later(form):
    with full():
        asks_to_come_again(buy(form), "full")

    is_bought_at_the_second_try(form)


@contextmanager
def stock_locked() -> Iterator[None]:
    """By somebody who does not come to an end."""
    rival = psycopg2.connect(**connection.get_connection_params())
    with rival, rival.cursor() as cursor:
        cursor.execute(f"SELECT FROM {Stock._meta.db_table} FOR UPDATE")
        yield
    rival.close()


@pytest.mark.parametrize("limit", ["lock_timeout", "statement_timeout"])
def test_an_order_that_took_too_long_is_no_order_and_the_same_form_orders_later(form, limit):
    with connection.cursor() as cursor:
        cursor.execute(f"SET {limit} = '300ms'")

    with stock_locked():
        asks_to_come_again(buy(form), limit)

    is_bought_at_the_second_try(form)


def test_on_a_server_that_only_reads_nothing_is_ordered_and_the_same_form_orders_later(form):
    """As for a moment after a failover."""
    with connected_by(
        OPTIONS={**connection.settings_dict["OPTIONS"], "options": "-c default_transaction_read_only=on"}
    ):
        asks_to_come_again(buy(form), "read-only")

    is_bought_at_the_second_try(form)


@contextmanager
def column_missing(model: type[Model], column: str) -> Iterator[None]:
    """The code is newer than the database, or older."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME COLUMN {column} TO of_tomorrow")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} RENAME COLUMN of_tomorrow TO {column}")


def test_while_the_database_is_migrated_pages_and_api_ask_to_come_again(form):
    with column_missing(Variant, "price_minor"):
        for path in ("/", "/en/p/coins/", "/buy/coins/", "/api/v1/products/coins/"):
            asks_to_come_again(Client().get(path), path)

    is_bought_at_the_second_try(form)


def test_what_the_program_did_wrong_is_still_an_error_of_ours(monkeypatch):
    """Control: not everything that comes from the database is an outage."""
    order = make_order(make_variant(keys=1))

    def wrong(*_: object) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT no_such_function()")

    monkeypatch.setattr("payments.checkout.views.order_state", wrong)

    answer = Client(raise_request_exception=False).get(f"/o/{order.token}/")

    assert answer.status_code == 500


def test_no_log_of_ours_quotes_the_statement_that_failed(caplog):
    """PostgreSQL's message does: `LINE 1: SELECT … WHERE token = '…'`."""
    order = make_order(make_variant(keys=1))

    with column_missing(Order, "contact_email"):
        Client().get(f"/o/{order.token}/")

    said = [record.getMessage() for record in caplog.records if record.name == "cardshop.traffic.errors"]
    assert said == ["database unavailable: ProgrammingError 42703"]
