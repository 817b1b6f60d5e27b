"""What is sold directly may be on sale for a time only: its pages say when, and the order is held to it."""

import re
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from cardshop.common.clock import db_now
from inventory.models import Stock, Variant
from orders.errors import NotOnSaleAnyMore, NotOnSaleYet
from orders.models import Order
from tests.factories import NOON, counters, make_buyer, make_order, make_variant
from tests.staff import logged_in, make_boss

pytestmark = pytest.mark.django_db

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


def coins(*, since: timedelta | None = None, until: timedelta | None = None, **fields: object) -> Variant:
    """On sale from then and until then, seen from now."""
    now = db_now()
    return make_variant(
        code="coins",
        keys=3,
        on_sale_from=now + since if since is not None else None,
        on_sale_until=now + until if until is not None else None,
        **fields,
    )


def form(client, **changes: object) -> dict[str, object]:
    given = client.post("/api/v1/passes/", {"variant": "coins"}, "application/json").json()
    return {"quantity": 1, "contact_email": "lin@example.org", **given, **changes}


def test_the_edges_are_the_first_moment_inside_and_the_first_outside():
    variant = make_variant(keys=3, on_sale_from=NOON, on_sale_until=NOON + HOUR)

    with pytest.raises(NotOnSaleYet):
        make_order(variant, now=NOON - timedelta(microseconds=1))
    make_order(variant, now=NOON)
    make_order(variant, now=NOON + HOUR - timedelta(microseconds=1))
    with pytest.raises(NotOnSaleAnyMore):
        make_order(variant, now=NOON + HOUR)

    assert counters(variant) == (3, 3, 2)


def test_the_retry_of_an_order_that_was_in_time_finds_it_also_afterwards():
    variant = make_variant(keys=3, on_sale_until=NOON + HOUR)
    wanted = {
        "buyer": make_buyer(variant, NOON),
        "idempotency_key": "k" * 20,
        "contact_email": "a@example.org",
    }
    first = make_order(variant, now=NOON, **wanted)

    assert make_order(variant, now=NOON + HOUR, **wanted) == first


@pytest.mark.parametrize("path", ["/api/v1/orders/", "/api/v1/tickets/"])
def test_programs_are_told_when_to_come(client, path):
    variant = coins(since=30 * SECOND)

    answer = client.post(
        path, form(client, variant="coins"), "application/json", headers={"Accept-Language": "en"}
    )

    assert answer.status_code == 409
    assert answer.json()["code"] == "not_open"
    assert re.fullmatch(
        r"This goes on sale at \d{4}-\d\d-\d\d \d\d:\d\d \(UTC\+0800\)\.", answer.json()["message"]
    )
    assert 1 <= int(answer["Retry-After"]) <= 30
    assert counters(variant) == (3, 3, 0)


@pytest.mark.parametrize("path", ["/api/v1/orders/", "/api/v1/tickets/"])
def test_and_when_it_is_too_late(client, path):
    coins(until=-SECOND)

    answer = client.post(
        path, form(client, variant="coins"), "application/json", headers={"Accept-Language": "en"}
    )

    assert (answer.status_code, answer.json()["code"]) == (409, "ended")
    assert answer.json()["message"].startswith("This was on sale until ")
    assert "Retry-After" not in answer
    assert not Order.objects.exists()


@pytest.mark.parametrize(("since", "until", "words"), [(HOUR / 2, None, "开售"), (None, -SECOND, "销售")])
def test_a_form_that_is_sent_all_the_same_is_refused_in_words(client, since, until, words):
    coins(since=since, until=until)

    answer = client.post("/buy/coins/", form(client))

    assert answer.status_code == 409
    assert words in answer.content.decode()
    assert not Order.objects.exists()


def test_before_the_opening_both_pages_count_down_and_the_form_waits_ready(client):
    variant = coins(since=HOUR / 2)

    home, product, buy = (
        client.get(f"/en/{path}").content.decode() for path in ("", "p/coins/", "buy/coins/")
    )

    assert "Opens " in home
    assert f'data-opens-at="{int(variant.on_sale_from.timestamp())}"' in product
    assert "countdown.js" in product
    assert "PreSale" in product
    assert 1750 < int(re.search(r'data-seconds-left="(\d+)"', buy)[1]) <= 1800
    assert "<form" in buy


def test_long_before_it_there_is_no_form_to_grow_old(client):
    coins(since=2 * HOUR)

    page = client.get("/en/buy/coins/").content.decode()

    assert "Not open yet" in page
    assert "<form" not in page


def test_what_is_to_come_is_not_called_sold_out_while_its_keys_are_still_to_come(client):
    coins(since=HOUR / 2)
    Stock.objects.update(claimed=3)

    pages = [client.get(f"/en/{path}").content.decode() for path in ("", "p/coins/", "buy/coins/")]

    assert not any("Sold out" in page for page in pages)
    assert 'max="10"' in pages[2]


def test_meanwhile_the_pages_say_how_long(client):
    coins(since=-HOUR, until=HOUR)

    for path in ("p/coins/", "buy/coins/"):
        assert "On sale until " in client.get(f"/en/{path}").content.decode()
    assert client.post("/en/buy/coins/", form(client)).status_code == 303


def test_afterwards_nothing_can_be_bought_any_more(client):
    coins(until=-SECOND)

    home, product, buy = (
        client.get(f"/en/{path}").content.decode() for path in ("", "p/coins/", "buy/coins/")
    )

    assert "Ended" in home
    assert "Ended" in product
    assert "/buy/coins/" not in product
    assert "This was on sale until " in buy
    assert 'name="pass"' not in buy


def test_its_times_take_no_query_of_their_own(django_assert_num_queries):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    plain, timed = make_variant(keys=2), make_variant(keys=2, on_sale_from=NOON, on_sale_until=NOON + HOUR)
    buyers = [make_buyer(variant, NOON) for variant in (plain, timed)]
    with CaptureQueriesContext(connection) as usual:
        make_order(plain, now=NOON, buyer=buyers[0])

    with django_assert_num_queries(len(usual)):
        make_order(timed, now=NOON, buyer=buyers[1])


def test_it_cannot_end_before_it_begins():
    with pytest.raises(IntegrityError), transaction.atomic():
        make_variant(on_sale_from=NOON, on_sale_until=NOON)


@pytest.mark.parametrize(
    ("selling", "until", "sentence"),
    [
        ("direct", "11:59:59", "Later than the beginning, please."),
        ("queued", "13:00:00", "What is sold through a line opens and closes by its sale."),
    ],
)
def test_the_merchant_is_told_what_makes_no_sense(selling, until, sentence):
    variant = make_variant(code="coins")
    boss = logged_in(make_boss())
    form = {
        "name": "一个",
        "code": "coins",
        "price": "9.90",
        "min_quantity": 1,
        "max_quantity": 5,
        "position": 0,
        "selling": selling,
        "on_sale_from_0": "2026-03-01",
        "on_sale_from_1": "12:00:00",
        "on_sale_until_0": "2026-03-01",
        "on_sale_until_1": until,
    }

    answer = boss.post(f"/admin/inventory/variant/{variant.pk}/change/", form)

    assert answer.status_code == 200
    assert sentence in answer.content.decode()
