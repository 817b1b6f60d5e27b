"""The merchant's page of what is set aside for one reseller."""

import pytest
from django.contrib.admin.models import LogEntry

from cardshop.shops.models import Role
from inventory.models import Stock
from resellers.stock import in_reach, pool_of, pools_for
from resellers.tests.calling import make_reseller
from tests.factories import counters, make_shop, make_variant, the_shop
from tests.staff import logged_in, make_boss, make_member

pytestmark = pytest.mark.django_db


def page_of(reseller) -> str:
    return f"/admin/resellers/reseller/{reseller.pk}/stock/"


def press(boss, reseller, step: str, variant, quantity: int) -> str:
    form = {"variant": variant.pk, "quantity": quantity, "step": step}
    page = boss.post(page_of(reseller), form, follow=True, headers={"accept-language": "en"})
    return page.content.decode()


def test_stock_is_set_aside_and_taken_back_and_told_in_the_history():
    boss, reseller, variant = logged_in(make_boss()), make_reseller(), make_variant(keys=5)

    said = press(boss, reseller, "set_aside", variant, 3)

    assert "Set aside: 3" in said
    reach = in_reach(reseller, [variant])[variant.pk]
    assert (reach.set_aside, reach.public, reach.available) == (3, 2, 5)
    assert in_reach(make_reseller("Other"), [variant])[variant.pk].available == 2
    assert "Taken back: 1" in press(boss, reseller, "take_back", variant, 1)
    assert counters(variant) == (3, 3, 0)
    assert LogEntry.objects.filter(change_message__contains="Set aside: 3").exists()


def test_no_more_than_is_free_and_nothing_of_another_shop():
    boss, reseller, variant = logged_in(make_boss()), make_reseller(), make_variant(keys=5)
    foreign = make_variant(keys=5, shop=make_shop("other"))

    assert "Only 5 of it are free." in press(boss, reseller, "set_aside", variant, 6)
    assert "Only 0 of it are free." in press(boss, reseller, "take_back", variant, 1)
    assert "Select a valid choice" in press(boss, reseller, "set_aside", foreign, 1)
    assert not Stock.objects.exclude(pool="public").exists()


def test_own_stock_comes_first():
    reseller = make_reseller()

    assert pools_for(reseller) == (pool_of(reseller), "public") == (f"reseller-{reseller.pk}", "public")


@pytest.mark.parametrize(("role", "status"), [(Role.MANAGER, 200), (Role.SUPPORT, 403), (Role.FINANCE, 403)])
def test_who_says_what_is_for_sale_sets_it_aside(role, status):
    reseller = make_reseller()

    assert logged_in(make_member(the_shop(), role)).get(page_of(reseller)).status_code == status
