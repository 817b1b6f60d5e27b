"""Catalogue pages: the same for everybody, and so for every cache."""

import pytest

from inventory.models import Category, Product
from tests.factories import make_order, make_variant

pytestmark = pytest.mark.django_db
CATALOGUE = ["/", "/en/", "/p/coins/", "/en/p/coins/", "/c/games/"]
PAGES = [*CATALOGUE, "/api/v1/products/", "/api/v1/products/coins/"]


@pytest.fixture(autouse=True)
def variant():
    variant = make_variant(keys=3, code="coins")
    category = Category.objects.create(shop=variant.shop, slug="games", name="游戏", name_en="Games")
    Product.objects.update(category=category)
    return variant


@pytest.mark.parametrize("path", PAGES)
def test_no_cookie_is_set_and_caches_may_keep_it(client, path):
    response = client.get(path)

    assert response.status_code == 200
    assert not response.cookies
    assert "Cookie" not in response.get("Vary", "")
    assert "public" in response["Cache-Control"]


@pytest.mark.parametrize("path", PAGES)
def test_a_known_page_is_not_sent_again(client, path):
    etag = client.get(path).get("ETag")

    assert etag
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 304


def test_a_sale_changes_the_page_and_its_etag(client, variant):
    before = client.get("/p/coins/")
    make_order(variant, quantity=3)

    after = client.get("/p/coins/", headers={"If-None-Match": before["ETag"]})

    assert after.status_code == 200
    assert b"/buy/coins/" in before.content
    assert b"/buy/coins/" not in after.content


def test_each_language_has_its_address(client):
    chinese, english = client.get("/p/coins/").content.decode(), client.get("/en/p/coins/").content.decode()

    assert "星币充值" in chinese
    assert "Star coins" in english
    assert 'href="/en/p/coins/"' in chinese
    assert 'href="/p/coins/"' in english


def test_the_number_of_queries_does_not_grow_with_the_catalogue(client, django_assert_max_num_queries):
    for _ in range(10):
        make_variant(keys=1)

    with django_assert_max_num_queries(8):
        client.get("/")


@pytest.mark.parametrize("header", ["Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options"])
def test_pages_carry_secure_headers(client, header):
    assert client.get("/").get(header)
    assert "unsafe" not in client.get("/")["Content-Security-Policy"]
