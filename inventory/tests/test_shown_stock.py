"""How much is there, as the merchant lets buyers know it. What is not told stands nowhere."""

import re

import pytest

from inventory.models import Product, Stock
from tests.factories import make_buyer, make_order, make_variant

pytestmark = pytest.mark.django_db

PAGES = ["/en/", "/en/p/coins/", "/en/buy/coins/", "/en/search/?q=coins", "/api/v1/products/"]
SHOWN = [*PAGES, "/api/v1/products/coins/"]
PASSING = {"X-Request-Id", "X-Accel-Expires", "Expires"}
# Nothing else on these pages is called so.
COUNT = 8_317
FEW = 7


def coins(display: str, **fields: object):
    variant = make_variant(code="coins", **{"max_quantity": 9_999, **fields})
    Product.objects.update(stock_display=display)
    return variant


def has(count: int) -> None:
    """As if so many keys were there."""
    Stock.objects.update(total=count, released=count)


def everything(client, path: str) -> str:
    """Body and headers, but for what is drawn anew each time and what tells the time."""
    answer = client.get(path, headers={"Accept-Language": "en"})
    assert answer.status_code == 200
    body = re.sub(r'(name="(?:pass|idempotency_key)" value=")[^"]*', r"\1", answer.content.decode())
    headers = {name: value for name, value in answer.headers.items() if name not in PASSING}
    return f"{body}{headers}"


def told(client) -> dict[str, object]:
    (variant,) = client.get("/api/v1/products/coins/").json()["variants"]
    return {"available": variant["available"], "stock": variant["stock"]}


def test_the_exact_number_is_shown_by_default(client):
    coins("exact")
    has(COUNT)

    assert f"{COUNT} in stock" in client.get("/en/p/coins/").content.decode()
    assert f"{COUNT} in stock" in client.get("/en/buy/coins/").content.decode()
    assert told(client) == {"available": COUNT, "stock": "in_stock"}
    has(FEW)
    assert "Only 7 left" in client.get("/en/p/coins/").content.decode()
    assert f'max="{FEW}"' in client.get("/en/buy/coins/").content.decode()


@pytest.mark.parametrize("display", ["fuzzy", "hidden"])
@pytest.mark.parametrize("path", SHOWN)
@pytest.mark.parametrize("one_fewer", [COUNT - 1, COUNT // 2])
def test_what_is_not_told_makes_no_difference_to_any_byte(client, display, path, one_fewer):
    coins(display)
    has(COUNT)
    before = everything(client, path)

    has(one_fewer)

    assert everything(client, path) == before
    assert not re.search(rf"\b{COUNT}\b|8,317", before)


def test_the_control_shows_that_the_exact_number_does_make_one(client):
    coins("exact")
    has(COUNT)
    before = everything(client, "/en/p/coins/")

    has(COUNT - 1)

    assert everything(client, "/en/p/coins/") != before


@pytest.mark.parametrize("display", ["fuzzy", "hidden"])
def test_one_of_the_last_few_is_not_told_from_another(client, display):
    coins(display)
    has(FEW)
    before = [everything(client, path) for path in SHOWN]

    has(FEW - 4)

    assert [everything(client, path) for path in SHOWN] == before


def test_roughly_is_in_three_steps(client):
    coins("fuzzy")
    for count, words, level in (
        (40, "In stock", "in_stock"),
        (10, "Few left", "low"),
        (0, "Sold out", "sold_out"),
    ):
        has(count)
        assert words in client.get("/en/p/coins/").content.decode()
        assert told(client) == {"available": 0 if level == "sold_out" else None, "stock": level}


def test_hidden_says_no_more_than_that_it_is_sold_out(client):
    coins("hidden")
    has(3)
    page = client.get("/en/p/coins/").content.decode()
    assert 'class="stock' not in page
    assert "LimitedAvailability" not in page
    assert told(client) == {"available": None, "stock": "untold"}

    has(0)

    assert "Sold out" in client.get("/en/p/coins/").content.decode()
    assert told(client) == {"available": 0, "stock": "sold_out"}


@pytest.mark.parametrize("display", ["exact", "fuzzy", "hidden"])
def test_fewer_than_one_may_order_are_sold_out(client, display):
    coins(display, min_quantity=5)
    has(4)

    assert "Sold out" in client.get("/en/p/coins/").content.decode()
    assert told(client) == {"available": 4 if display == "exact" else 0, "stock": "sold_out"}


@pytest.mark.parametrize("display", ["exact", "fuzzy", "hidden"])
def test_a_refusal_names_no_number(client, display):
    variant = coins(display)
    has(FEW)
    buyer = make_buyer(variant)
    wanted = {"quantity": "8", "contact_email": "lin@example.org", "idempotency_key": "k" * 20}
    wanted["pass"] = client.post("/api/v1/passes/", {"variant": "coins"}, "application/json").json()["pass"]

    page = client.post("/en/buy/coins/", wanted)
    api = client.post("/api/v1/orders/", {**wanted, "variant": "coins", "quantity": 8}, "application/json")

    assert buyer
    assert (page.status_code, api.status_code) == (409, 409)
    assert not re.search(r"\d", api.json()["message"])
    if display != "exact":
        assert f"{FEW} left" not in page.content.decode()
        assert f'max="{FEW}"' not in page.content.decode()


def test_unlimited_goods_are_in_stock(client):
    variant = coins("exact")
    Stock.objects.update(total=None, released=None)

    assert "In stock" in client.get("/en/p/coins/").content.decode()
    assert told(client) == {"available": None, "stock": "in_stock"}
    assert variant


def test_what_redis_keeps_knows_no_more_than_the_page(client, pages_kept):
    from cardshop.traffic.display_cache import _connect

    coins("fuzzy")
    has(COUNT)

    for path in SHOWN:
        client.get(path)

    kept = [_connect().get(key) or b"" for key in _connect().scan_iter("shown:*")]
    assert any(b"Star coins" in text for text in kept)
    assert not any(str(COUNT).encode() in text for text in kept)


def test_an_order_takes_the_step_that_is_shown(client):
    variant = coins("fuzzy", keys=11)
    assert told(client)["stock"] == "in_stock"

    make_order(variant)

    assert told(client)["stock"] == "low"
