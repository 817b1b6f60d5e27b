"""What search engines and previews of links are told, and what they are asked to leave alone."""

import json
import re
from xml.etree import ElementTree

import pytest

from inventory.models import Category, Product, Stock
from tests.factories import make_variant

pytestmark = pytest.mark.django_db

HOME = "http://demo.localhost:8000"
SITEMAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"


@pytest.fixture(autouse=True)
def variant():
    variant = make_variant(keys=30, code="coins")
    category = Category.objects.create(shop=variant.shop, slug="games", name="游戏", name_en="Games")
    Product.objects.update(category=category, summary="立即到账", summary_en="At once </script><b>")
    return variant


def head(client, path: str) -> str:
    return client.get(path).content.decode().partition("</head>")[0]


@pytest.mark.parametrize("path", ["/", "/c/games/", "/p/coins/"])
def test_a_page_has_one_address_in_each_language(client, path):
    chinese, english = head(client, path), head(client, f"/en{path}")

    assert f'<link rel="canonical" href="{HOME}{path}">' in chinese
    assert f'<link rel="canonical" href="{HOME}/en{path}">' in english
    for shown in (chinese, english):
        assert f'hreflang="zh-Hans" href="{HOME}{path}"' in shown
        assert f'hreflang="en" href="{HOME}/en{path}"' in shown
        assert f'hreflang="x-default" href="{HOME}{path}"' in shown


def test_a_link_to_a_product_can_be_previewed(client):
    shown = head(client, "/en/p/coins/")

    assert '<meta name="description" content="At once &lt;/script&gt;&lt;b&gt;">' in shown
    assert '<meta property="og:title" content="Star coins">' in shown
    assert '<meta property="og:locale" content="en_US">' in shown


def test_the_address_of_a_page_does_not_follow_whoever_asks(client):
    answer = client.get("/p/coins/", headers={"host": "127.0.0.1"})

    assert f'href="{HOME}/p/coins/"' in answer.content.decode()


def data(client) -> dict[str, object]:
    page = client.get("/en/p/coins/").content.decode()
    return json.loads(re.search(r'<script type="application/ld\+json">(.*?)</script>', page)[1])


def test_a_product_is_described_for_machines(client):
    said = data(client)

    assert said["@type"] == "Product"
    assert said["name"] == "Star coins"
    assert said["description"] == "At once </script><b>"
    (offer,) = said["offers"]
    assert (offer["price"], offer["priceCurrency"]) == ("9.90", "CNY")
    assert offer["availability"] == "https://schema.org/InStock"
    assert offer["url"] == f"{HOME}/en/p/coins/"


@pytest.mark.parametrize(("free", "word"), [(0, "OutOfStock"), (3, "LimitedAvailability"), (30, "InStock")])
def test_and_whether_it_is_to_be_had(client, free, word):
    Stock.objects.update(claimed=30 - free)

    assert data(client)["offers"][0]["availability"] == f"https://schema.org/{word}"


def test_the_sitemap_lists_what_is_for_everybody_in_both_languages(client):
    make_variant(code="hidden")
    Product.objects.filter(slug="hidden").update(is_listed=False)

    answer = client.get("/sitemap.xml")

    assert answer["Content-Type"] == "application/xml"
    listed = [place.text for place in ElementTree.fromstring(answer.content).iter(f"{SITEMAP}loc")]
    assert listed == [
        f"{HOME}{path}" for path in ("/", "/en/", "/c/games/", "/en/c/games/", "/p/coins/", "/en/p/coins/")
    ]


def test_robots_find_the_sitemap_and_leave_what_is_somebody_s_own(client):
    answer = client.get("/robots.txt")

    lines = answer.content.decode().splitlines()
    assert answer["Content-Type"] == "text/plain"
    assert f"Sitemap: {HOME}/sitemap.xml" in lines
    for path in ("/o/", "/pay/", "/buy/", "/line/", "/search/", "/en/o/", "/api/", "/admin/"):
        assert f"Disallow: {path}" in lines


@pytest.mark.parametrize("path", ["/robots.txt", "/sitemap.xml"])
def test_both_are_the_same_for_everybody(client, path):
    answer = client.get(path)

    assert "public" in answer["Cache-Control"]
    assert client.get(path, headers={"If-None-Match": answer["ETag"]}).status_code == 304


def test_both_pages_say_how_many_one_may_have(client, variant):
    variant.min_quantity, variant.max_quantity, variant.per_buyer_limit = 2, 5, 9
    variant.save()

    for path in ("/en/p/coins/", "/en/buy/coins/"):
        page = client.get(path).content.decode()
        assert "2 to 5 per order." in page
        assert "Up to 9 per buyer in all." in page
    (said,) = client.get("/api/v1/products/coins/").json()["variants"]
    assert (said["min_quantity"], said["max_quantity"], said["per_buyer_limit"]) == (2, 5, 9)
