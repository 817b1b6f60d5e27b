"""The merchant's page of what is set aside for one reseller, or for all of them."""

import pytest
from django.contrib.admin.models import LogEntry

from cardshop.shops.models import Role
from inventory.models import Stock
from resellers.stock import in_reach, pool_of, pools_for
from resellers.tests.calling import make_reseller
from tests.factories import counters, make_shop, make_variant, the_shop
from tests.staff import logged_in, make_boss, make_member

pytestmark = pytest.mark.django_db


FOR_ALL = "/admin/resellers/reseller/stock/"


def page_of(reseller) -> str:
    return f"/admin/resellers/reseller/{reseller.pk}/stock/" if reseller else FOR_ALL


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


def test_what_is_set_aside_for_all_resellers_each_of_them_has_and_no_buyer():
    boss, variant = logged_in(make_boss()), make_variant(keys=5)
    one, other = make_reseller(), make_reseller("Other")

    said = press(boss, None, "set_aside", variant, 3)

    assert "Set aside: 3" in said
    assert counters(variant) == (2, 2, 0)
    for reseller in (one, other):
        reach = in_reach(reseller, [variant])[variant.pk]
        assert (reach.set_aside, reach.shared, reach.public, reach.available) == (0, 3, 2, 5)
    assert "Taken back: 3" in press(boss, None, "take_back", variant, 3)
    assert counters(variant) == (5, 5, 0)
    told = LogEntry.objects.filter(change_message__contains="Set aside: 3").get()
    assert told.get_edited_object() == variant


def test_a_merchant_of_one_shop_sets_aside_nothing_of_another_for_all():
    make_variant(keys=5)
    foreign = make_variant(keys=5, shop=make_shop("other"))
    theirs = logged_in(make_member(the_shop(), Role.MANAGER))

    assert "Select a valid choice" in press(theirs, None, "set_aside", foreign, 1)
    assert not Stock.objects.exclude(pool="public").exists()


def test_own_stock_comes_first_then_that_of_all_resellers():
    reseller = make_reseller()

    assert pools_for(reseller) == (pool_of(reseller), "resellers", "public")
    assert pool_of(reseller) == f"reseller-{reseller.pk}"


@pytest.mark.parametrize(("role", "status"), [(Role.MANAGER, 200), (Role.SUPPORT, 403), (Role.FINANCE, 403)])
def test_who_says_what_is_for_sale_sets_it_aside(role, status):
    staff = logged_in(make_member(the_shop(), role))

    for page in (page_of(make_reseller()), FOR_ALL):
        assert staff.get(page).status_code == status
