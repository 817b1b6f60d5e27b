"""The merchant's page of a shop."""

import pytest

from cardshop.shops.models import Shop
from tests.factories import make_shop
from tests.staff import logged_in, make_boss

pytestmark = pytest.mark.django_db


def form(**changes):
    return {"slug": "demo", "name": "星河", "host": "shop.example.com", "currency": "CNY", **changes}


@pytest.mark.parametrize(
    "host", ["https://a.example", "a.example/x", "a.example:80", "-a", "", "商店", "a b"]
)
def test_a_host_is_a_bare_host_name(host):
    boss = logged_in(make_boss())
    assert boss.post("/admin/shops/shop/add/", form(host=host)).status_code == 200
    assert not Shop.objects.exists()


def test_a_host_is_kept_in_lower_case():
    logged_in(make_boss()).post("/admin/shops/shop/add/", form(host="Shop.Example.COM"))
    assert Shop.objects.get().host == "shop.example.com"


def test_a_shop_is_closed_and_not_deleted():
    boss, shop = logged_in(make_boss()), make_shop()
    assert boss.get("/admin/shops/shop/").status_code == 200
    assert boss.get(f"/admin/shops/shop/{shop.pk}/change/").status_code == 200
    assert boss.get(f"/admin/shops/shop/{shop.pk}/delete/").status_code == 403
