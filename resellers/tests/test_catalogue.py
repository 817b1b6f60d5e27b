"""What a reseller's program is told of products, prices and stock."""

import json
import re
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cardshop.common.clock import db_now
from cardshop.shops.models import Shop
from inventory.models import Product, Selling, Stock, Variant
from payments.ledger.entries import credit
from resellers.catalogue import TOLD_AGAIN
from resellers.models import PriceList, Reseller, Scope
from resellers.stock import pool_of
from resellers.tests.calling import API, make_program, make_reseller
from resellers.tests.prices import give_prices
from tests.factories import make_by_hand, make_reusable, make_shop, make_variant

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("line")]
PRODUCTS, STOCK, QUOTES = f"{API}products/", f"{API}stock/", f"{API}quotes/"


def set_aside(reseller, variant, count: int) -> None:
    """As if so many more had come for this reseller alone."""
    Stock.objects.create(
        shop=variant.shop, variant=variant, pool=pool_of(reseller), total=count, released=count
    )


def variants_told(program, query: str = "") -> dict[str, dict[str, object]]:
    products = program.call(f"{PRODUCTS}{query}").json()["products"]
    return {variant["code"]: variant for product in products for variant in product["variants"]}


def quoted(program, *lines):
    body = {"lines": [{"variant": code, "quantity": quantity} for code, quantity in lines]}
    return program.call(QUOTES, "POST", json.dumps(body).encode())


def test_a_product_is_told_with_both_names_and_the_prices_of_who_asks():
    reseller = make_reseller()
    variant = make_variant(code="coins", keys=7, price_minor=990)
    give_prices(reseller, {variant: {10: 800}}, discount=1000, onward={variant: 950})

    product = make_program(reseller).call(PRODUCTS).json()["products"][0]

    assert (product["slug"], product["name"], product["name_en"]) == ("coins", "星币充值", "Star coins")
    assert product["variants"] == [
        {
            "code": "coins",
            "is_buyable": True,
            "available": 7,
            "set_aside": 0,
            "name": "100 枚",
            "name_en": "100 coins",
            "currency": "CNY",
            "unit_price_minor": 891,
            "tiers": [
                {"from_quantity": 1, "unit_price_minor": 891},
                {"from_quantity": 10, "unit_price_minor": 800},
            ],
            "onward_min_minor": 950,
            "on_sale_from": None,
            "on_sale_until": None,
            "fulfilment": "card_key",
            "fulfil_within_hours": None,
        }
    ]


def test_nobody_sees_the_prices_or_the_stock_of_another():
    ours, theirs = make_reseller("Ours"), make_reseller("Theirs")
    variant = make_variant(code="coins", keys=3, price_minor=990)
    give_prices(theirs, {variant: {1: 12345}}, onward={variant: 45678})
    set_aside(theirs, variant, 4000)

    program = make_program(ours)
    told = variants_told(program)["coins"]
    answers = program.call(PRODUCTS).content + program.call(f"{STOCK}?codes=coins").content

    assert (told["unit_price_minor"], told["onward_min_minor"]) == (990, None)
    assert (told["available"], told["set_aside"]) == (3, 0)
    assert not {"12345", "45678", "4000", "4003"} & set(re.findall("[0-9]+", answers.decode()))
    told = variants_told(make_program(theirs))["coins"]
    assert (told["unit_price_minor"], told["available"], told["set_aside"]) == (12345, 4003, 4000)


def test_what_is_not_on_sale_or_of_another_shop_is_not_told():
    reseller, shown = make_reseller(), make_variant(code="shown")
    Product.objects.filter(pk=make_variant(code="unlisted").product_id).update(is_listed=False)
    Variant.objects.filter(pk=make_variant(code="off").pk).update(is_active=False)
    make_variant(code="foreign", shop=make_shop("other"))
    program = make_program(reseller)

    assert list(variants_told(program)) == ["shown"]
    said = program.call(f"{STOCK}?codes=off,shown,unlisted,foreign,never").json()
    assert [line["code"] for line in said["stock"]] == [shown.code]
    assert said["unknown"] == ["off", "unlisted", "foreign", "never"]
    assert [program.call(f"{PRODUCTS}{slug}/").status_code for slug in ("unlisted", "foreign")] == [404, 404]
    assert quoted(program, ("off", 1)).status_code == 404


def test_what_this_account_cannot_buy_is_listed_and_says_so():
    program = make_program()
    make_variant(code="dollars", keys=5, currency="USD")
    make_by_hand(code="asks", free=5, asks=[{"name": "账号"}])
    make_by_hand(code="asks-little", free=5, asks=[{"name": "备注", "is_required": False}])
    rush = make_variant(code="rush", keys=5, selling=Selling.QUEUED)
    make_reusable(code="endless")
    set_aside(program.key.reseller, rush, 2)

    told = variants_told(program)

    assert {code: (line["is_buyable"], line["available"]) for code, line in told.items()} == {
        "dollars": (False, 0),
        "asks": (False, 0),
        "asks-little": (True, 5),
        "rush": (True, 2),  # the rest is for the line
        "endless": (True, None),
    }
    assert told["dollars"]["currency"] == "USD"
    assert quoted(program, ("dollars", 1)).json()["code"] == "not_buyable"


def test_pages_come_in_order_and_each_product_once():
    codes = [make_variant().code for _ in range(5)]
    program = make_program()

    seen, after = [], "0"
    while after is not None:
        page = program.call(f"{PRODUCTS}?limit=2&after={after}").json()
        seen += [product["slug"] for product in page["products"]]
        after = page["next"]

    assert seen == codes


def test_what_has_not_changed_is_not_sent_again():
    reseller, variant = make_reseller(), make_variant(code="coins", keys=2)
    program = make_program(reseller)
    for path in (PRODUCTS, f"{PRODUCTS}coins/", f"{STOCK}?codes=coins"):
        first = program.call(path)
        assert first["Cache-Control"] == "private, max-age=0, must-revalidate"
        again = program.call(path, headers={"If-None-Match": first["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again["Cache-Control"] == first["Cache-Control"]

    first = program.call(PRODUCTS)
    give_prices(reseller, {variant: {1: 5}})

    assert program.call(PRODUCTS, headers={"If-None-Match": first["ETag"]}).status_code == 200


def changed(program, since) -> list[str]:
    page = program.call(f"{PRODUCTS}?updated_since={quote(since.isoformat())}").json()
    return [product["slug"] for product in page["products"]]


def age(seconds: int) -> None:
    """Everything has been as it is for so long."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in ("inventory_product", "inventory_variant"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            cursor.execute(f"UPDATE {table} SET updated_at = now() - %s * interval '1 s'", [seconds])
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def test_a_program_can_ask_for_what_has_changed_however_it_was():
    reseller, coins, gems = make_reseller(), make_variant(code="coins"), make_variant(code="gems")
    program, long = make_program(reseller), int(TOLD_AGAIN.total_seconds()) * 3
    now = db_now()

    age(long)
    assert changed(program, now) == []
    Variant.objects.filter(pk=coins.pk).update(price_minor=1)
    assert changed(program, now) == ["coins"]
    age(long)
    Variant.objects.filter(pk=gems.pk).update(is_active=False)
    assert changed(program, now) == ["gems"]
    age(long)
    Product.objects.get(slug="gems").save()  # as it is
    assert changed(program, now) == []
    Product.objects.filter(slug="gems").update(name="宝石")
    assert changed(program, now) == ["gems"]
    age(long)
    assert changed(program, now - timedelta(seconds=long)) == ["coins", "gems"]


def test_a_change_of_the_price_list_is_one_of_every_product_for_who_has_it():
    reseller, variant = make_reseller(), make_variant(code="coins")
    program, other = make_program(reseller), make_program(make_reseller("Other"))
    give_prices(reseller, {variant: {1: 5}})
    long_ago, now = db_now() - TOLD_AGAIN * 3, db_now()
    PriceList.objects.update(changed_at=long_ago)
    age(180)
    assert changed(program, now) == []

    PriceList.objects.update(changed_at=now)
    assert (changed(program, now), changed(other, now)) == (["coins"], [])
    PriceList.objects.update(changed_at=long_ago)
    Reseller.objects.filter(pk=reseller.pk).update(price_list=None, priced_since=now)
    assert (changed(program, now), changed(other, now)) == (["coins"], [])


def test_a_quote_adds_up_and_says_what_would_be_left():
    reseller = make_reseller()
    coins, gems = make_variant(code="coins", keys=20), make_variant(code="gems", keys=1, price_minor=500)
    give_prices(reseller, {coins: {1: 900, 10: 800}}, onward={gems: 450})
    set_aside(reseller, gems, 2)
    credit(reseller.balance, amount_minor=9000, reason="paid in", actor="boss", now=db_now())

    answer = quoted(make_program(reseller), ("coins", 10), ("gems", 3))

    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    line = {"onward_min_minor": None, "is_available": True}
    assert answer.json() == {
        "currency": "CNY",
        "lines": [
            {**line, "variant": "coins", "quantity": 10, "unit_price_minor": 800, "total_minor": 8000},
            {
                **line, "variant": "gems", "quantity": 3, "unit_price_minor": 500, "total_minor": 1500,
                "onward_min_minor": 450,
            },
        ],
        "total_minor": 9500,
        "is_available": True,
        "balance_after_minor": -500,
        "spendable_after_minor": -500,
    }  # fmt: skip
    assert Stock.objects.filter(claimed__gt=0).count() == 0


def test_a_quote_says_what_could_not_be_had():
    now = db_now()
    make_variant(code="few", keys=2)
    make_variant(code="later", keys=2, on_sale_from=now + timedelta(hours=1))
    make_reusable(code="endless")

    told = quoted(make_program(), ("few", 3), ("later", 1), ("endless", 400)).json()

    assert [line["is_available"] for line in told["lines"]] == [False, False, True]
    assert told["is_available"] is False


def test_a_key_that_may_not_see_the_balance_learns_nothing_of_it_from_a_quote():
    make_variant(code="coins", keys=1)
    program = make_program(scopes=[Scope.CATALOGUE])

    told = quoted(program, ("coins", 1)).json()
    assert (told["balance_after_minor"], told["spendable_after_minor"]) == (None, None)
    assert make_program(make_reseller("B"), scopes=[Scope.BALANCE]).call(PRODUCTS).status_code == 403


@pytest.mark.parametrize(
    ("lines", "field"),
    [
        ([], "lines"),
        ([("coins", 0)], "lines.0.quantity"),
        ([("coins", 501)], "lines.0.quantity"),
        ([("coins", "1.5")], "lines.0.quantity"),
        ([("coins", 1), ("coins", 2)], "lines"),
        ([("no such", 1)], "lines.0.variant"),
    ],
)
def test_a_quote_for_what_cannot_be_is_refused(lines, field):
    answer = quoted(make_program(), *lines)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert list(answer.json()["fields"]) == [field]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (f"{STOCK}", "codes"),
        (f"{STOCK}?codes=", "codes"),
        (f"{STOCK}?codes=a%20b", "codes"),
        (f"{STOCK}?codes=" + ",".join(f"c{n}" for n in range(201)), "codes"),
        (f"{PRODUCTS}?updated_since=yesterday", "updated_since"),
        (f"{PRODUCTS}?surprise=1", "surprise"),
    ],
)
def test_a_question_that_cannot_be_read_is_refused(path, field):
    answer = make_program().call(path)

    assert (answer.status_code, list(answer.json()["fields"])) == (400, [field])


@pytest.mark.parametrize("since", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_any_moment_can_be_asked_about(since):
    make_variant()

    assert make_program().call(f"{PRODUCTS}?updated_since={since}").status_code in (200, 400)


def test_a_closed_shop_says_so_and_does_not_seem_empty():
    program = make_program()
    make_variant(code="coins")
    Shop.objects.update(is_open=False)

    for path in (PRODUCTS, f"{PRODUCTS}coins/", f"{STOCK}?codes=coins"):
        assert program.call(path).json()["code"] == "shop_closed"
    assert quoted(program, ("coins", 1)).json()["code"] == "shop_closed"


def test_a_page_costs_the_same_with_one_product_and_with_many():
    reseller = make_reseller()
    program = make_program(reseller)

    def fill(count: int) -> list[str]:
        made = [make_variant(keys=1) for _ in range(count)]
        for variant in made:
            for price_list in PriceList.objects.all():
                price_list.tiers.create(variant=variant, from_quantity=5, unit_price_minor=1)
        return [variant.code for variant in made]

    def asked(codes: list[str]) -> dict[str, int]:
        counts = {}
        for name, ask in {
            "products": lambda: program.call(PRODUCTS),
            "product": lambda: program.call(f"{PRODUCTS}{codes[0]}/"),
            "stock": lambda: program.call(f"{STOCK}?codes={','.join(codes)}"),
            "quote": lambda: quoted(program, *((code, 1) for code in codes)),
        }.items():
            with CaptureQueriesContext(connection) as queries:
                assert ask().status_code == 200
            counts[name] = len(queries)
        return counts

    give_prices(reseller)
    codes = fill(1)
    asked(codes)  # the clock and the shop are asked for now and then
    few = asked(codes)

    assert asked(codes + fill(9)) == few
    assert few == {"products": 8, "product": 8, "stock": 4, "quote": 6}
