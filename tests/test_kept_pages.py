"""Catalogue and buy pages as a shop keeps them for a second."""

import re
from datetime import timedelta

import pytest
from django.test import Client

from cardshop.common.clock import db_now
from cardshop.traffic import display_cache
from inventory.models import Product, Variant
from orders import views
from orders.admission.sales import pause_sale, resume_sale
from orders.admission.waves import release_wave
from orders.models import Sale, Wave
from tests.edited_lists import shown_of
from tests.factories import make_order, make_shop, make_variant, stock_up
from tests.lines import make_sale
from tests.staff import logged_in, make_boss

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("pages_kept")]

# Queries of a first look, and of the next. The shop, its ways to pay and, for the buy page, the time are
# asked for each time here; a real shop knows them for a second.
PAGES = {
    "/": (10, 1),
    "/en/": (10, 1),
    "/c/games/": (9, 1),
    "/c/none/": (2, 1),
    "/p/coins/": (7, 1),
    "/en/p/coins/": (7, 1),
    "/p/rush/": (9, 1),
    "/p/none/": (2, 1),
    "/buy/coins/": (5, 2),
    "/buy/rush/": (7, 2),
    "/buy/none/": (2, 1),
    "/api/v1/products/": (5, 1),
    "/api/v1/products/coins/": (5, 1),
    "/api/v1/products/none/": (2, 1),
}


@pytest.fixture
def coins() -> Variant:
    return make_variant(keys=30, code="coins")


def elsewhere() -> Client:
    """A browser at another process, which has nothing at hand."""
    display_cache.shown._at_hand._slots.clear()
    views._offers._slots.clear()
    return Client()


def page(path="/p/coins/", **headers) -> str:
    return elsewhere().get(path, headers=headers).content.decode()


@pytest.mark.parametrize("path", PAGES)
def test_the_first_look_takes_a_few_queries_and_the_next_ones_next_to_none(
    path, coins, client, django_assert_num_queries
):
    make_sale(keys=5, code="rush")
    coins.product.category = coins.shop.category_set.create(slug="games", name="游戏")
    coins.product.save()
    first, next_one = PAGES[path]

    with django_assert_num_queries(first):
        status = client.get(path).status_code
    with django_assert_num_queries(next_one):
        assert client.get(path).status_code == status == (404 if "none" in path else 200)


@pytest.mark.usefixtures("coins")
@pytest.mark.parametrize("path", ["/", "/p/coins/", "/api/v1/products/coins/"])
def test_caches_on_the_way_keep_it_for_a_second_and_browsers_ask(path, client):
    first = client.get(path)
    directives = set(first["Cache-Control"].replace(" ", "").split(","))

    again = elsewhere().get(path, headers={"If-None-Match": first["ETag"]})

    assert directives == {"public", "max-age=0", "s-maxage=1"}
    assert (again.status_code, again.content) == (304, b"")


def test_stock_is_told_within_a_second_of_an_order_that_told_nobody(coins):
    assert "30 in stock" in page("/en/p/coins/")
    make_order(coins, quantity=9)
    assert "30 in stock" in page("/en/p/coins/")

    for key in display_cache._connect().scan_iter("shown:*"):
        display_cache._connect().pexpire(key, max(0, display_cache._connect().pttl(key) - 1000))

    assert "21 in stock" in page("/en/p/coins/")


def rename(coins):
    boss = logged_in(make_boss())
    url = f"/admin/inventory/product/{coins.product_id}/change/"
    form = {
        "name": "月亮",
        "name_en": "Moons",
        "slug": "coins",
        "position": 0,
        "stock_display": "exact",
        "is_listed": "on",
        "variants-TOTAL_FORMS": 0,
        "variants-INITIAL_FORMS": 0,
        "images-TOTAL_FORMS": 0,
        "images-INITIAL_FORMS": 0,
    }
    assert boss.post(url, form).status_code == 302


def unlist(coins):
    boss = logged_in(make_boss())
    form = {
        "form-TOTAL_FORMS": 1,
        "form-INITIAL_FORMS": 1,
        "form-0-id": coins.product_id,
        "form-0-position": 0,
        **shown_of(coins.product, "is_listed", "position"),
        "_save": "",
    }
    assert boss.post("/admin/inventory/product/", form).status_code == 302


def delete_variant(coins):
    coins.stocks.all().delete()
    form = {"action": "delete_selected", "_selected_action": coins.pk, "post": "yes"}
    assert logged_in(make_boss()).post("/admin/inventory/variant/", form).status_code == 302
    assert not Variant.objects.exists()


def delete_variant_on_its_page(coins):
    coins.stocks.all().delete()
    address = f"/admin/inventory/variant/{coins.pk}/delete/"
    assert logged_in(make_boss()).post(address, {"post": "yes"}).status_code == 302
    assert not Variant.objects.exists()


DELETIONS = [delete_variant, delete_variant_on_its_page]


@pytest.mark.parametrize("change", [*DELETIONS, rename, unlist, lambda coins: stock_up(coins, 1)])
def test_what_a_merchant_changes_is_seen_by_every_process_at_its_next_look(change):
    coins = make_variant(keys=0 if change in DELETIONS else 3, code="coins")
    before = page()

    change(coins)

    assert page() != before


def close(sale):
    form = {
        "hold_seconds": 300,
        "proof_of_work": "pressed",
        "closes_at_0": "2026-01-01",
        "closes_at_1": "00:00:00",
        "waves-TOTAL_FORMS": 0,
        "waves-INITIAL_FORMS": 0,
    }
    assert logged_in(make_boss()).post(f"/admin/orders/sale/{sale.pk}/change/", form).status_code == 302


def test_so_are_a_pause_a_wave_and_new_terms():
    sale = make_sale(keys=5, code="rush")
    wave = Wave.objects.create(sale=sale, quantity=1)
    sale.variant.stocks.update(released=2)
    seen = [page("/en/p/rush/")]

    for act in (
        lambda: pause_sale(sale),
        lambda: resume_sale(sale),
        lambda: release_wave(wave, now=db_now()),
        lambda: close(sale),
    ):
        act()
        seen.append(page("/en/p/rush/"))

    told = [re.search(r"Paused for a moment|Only \d left|Ended", html) for html in seen]
    assert [found.group() for found in told] == [
        "Only 2 left",
        "Paused for a moment",
        "Only 2 left",
        "Only 3 left",
        "Ended",
    ]


def test_two_shops_with_the_same_addresses_are_never_mixed():
    for slug, name in (("one", "First"), ("two", "Second")):
        make_variant(keys=1, code="coins", shop=make_shop(slug))
        Product.objects.filter(shop__slug=slug).update(name_en=name)

    for path in ("/en/p/coins/", "/api/v1/products/coins/"):
        told = [
            elsewhere().get(path, headers={"host": f"{slug}.localhost", "accept-language": "en"})
            for slug in ("one", "two", "one")
        ]
        assert ["First" in answer.content.decode() for answer in told] == [True, False, True]


@pytest.mark.usefixtures("coins")
def test_the_api_answers_in_the_language_that_was_asked_for():
    names = [
        elsewhere().get("/api/v1/products/coins/", headers={"accept-language": language}).json()["name"]
        for language in ("en", "zh-hans", "en")
    ]

    assert names == ["Star coins", "星币充值", "Star coins"]


@pytest.mark.usefixtures("coins")
@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/en/p/coins/?mark=evil", {}),
        ("/en/p/coins/", {"x-forwarded-host": "evil"}),
        ("/api/v1/products/coins/", {"accept": "application/json; indent=4"}),
    ],
)
def test_what_one_visitor_sends_is_not_shown_to_the_next(path, headers):
    plain = path.partition("?")[0]
    honest = page(plain)
    display_cache.shown.forget(Product.objects.get().shop_id)

    page(path, **headers)

    assert page(plain) == honest


def test_a_closed_shop_is_closed_whatever_is_kept(coins, client):
    client.get("/")
    coins.shop.__class__.objects.update(is_open=False)

    assert client.get("/").status_code == 404


@pytest.mark.usefixtures("coins")
def test_each_look_at_the_buy_page_has_a_pass_of_its_own(client):
    one, two = (client.get("/buy/coins/").context["pass"] for _ in range(2))

    assert one != two


def test_a_sale_opens_on_time_whatever_is_kept(client, monkeypatch):
    sale = make_sale(keys=5, code="rush")
    Sale.objects.filter(pk=sale.pk).update(opens_at=db_now() + timedelta(minutes=1))
    before = client.get("/buy/rush/").context["sale"].phase
    opened = db_now() + timedelta(minutes=1)
    monkeypatch.setattr(views, "db_now", lambda: opened)

    assert (before, client.get("/buy/rush/").context["sale"].phase) == ("announced", "open")


def test_a_refused_order_is_told_the_stock_as_it_is_now(coins, client):
    fields = client.get("/buy/coins/").context
    make_order(coins, quantity=10)
    make_order(coins, quantity=10)
    make_order(coins, quantity=10)

    answer = client.post(
        "/buy/coins/",
        {
            "quantity": "1",
            "contact_email": "lin@example.org",
            "pass": fields["pass"],
            "idempotency_key": fields["idempotency_key"],
        },
    )

    assert (answer.status_code, answer.context["stock"].count) == (409, 0)
