"""The admin's first page."""

import pytest

from cardshop.operations.dashboard import LOW_STOCK
from tests.factories import make_order, make_variant, pay_order
from tests.staff import logged_in, make_boss, make_clerk

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_counts_today(django_assert_max_num_queries):
    variant = make_variant(keys=LOW_STOCK + 1, code="coins")
    pay_order(make_order(variant))
    make_order(variant)
    boss = logged_in(make_boss())
    with django_assert_max_num_queries(14):
        page = boss.get("/admin/").content.decode()
    assert "¥9.90" in page
    assert "1 of them paid" in page
    assert "100 枚" in page  # nine are left


def test_money_and_orders_are_for_those_who_may_see_them():
    pay_order(make_order(make_variant(keys=1)))
    page = logged_in(make_clerk("inventory.view_product")).get("/admin/")
    assert page.status_code == 200
    assert "9.90" not in page.content.decode()
    assert "Received today" not in page.content.decode()
