"""The admin's first page."""

from datetime import timedelta

import pytest

from cardshop.common.clock import db_now
from cardshop.reports.rolling_up import roll_up
from inventory.models import KeyBatch, Variant
from orders.services.delivery import deliver_orders
from tests.factories import make_order, make_shop, make_variant, pay_order
from tests.staff import logged_in, make_boss, make_clerk

pytestmark = pytest.mark.django_db(transaction=True)

QUERIES = 30  # eight of them of the admin itself


def sell(variant, *, ago=timedelta(), quantity=1):
    now = db_now() - ago
    order = make_order(variant, quantity=quantity, now=now)
    pay_order(order, now=now)
    deliver_orders([order.pk], now)
    return order


def the_page(client=None, query=""):
    answer = (client or logged_in(make_boss())).get(f"/admin/{query}")
    assert answer.status_code == 200
    return answer.content.decode()


def test_today_is_seen_at_once_and_the_days_before_once_they_are_counted():
    variant = make_variant(keys=9, price_minor=700)
    sell(variant)
    sell(variant, ago=timedelta(days=1), quantity=2)
    sell(variant, ago=timedelta(days=7), quantity=3)
    make_order(variant)
    boss = logged_in(make_boss())
    page = the_page(boss)
    assert "¥7.00" in page
    assert "by now yesterday ¥14.00" in page
    assert "¥21.00" in page
    assert "have not been counted yet" in page

    roll_up(db_now() + timedelta(minutes=1))
    page = the_page(boss)

    assert "together ¥42.00" in page
    assert page.count("<rect") == 30
    assert "星币充值" in page or "Star coins" in page  # what sells best
    assert "have not been counted yet" not in page


def test_profit_says_what_it_does_not_know():
    variant = make_variant(keys=2, price_minor=700)
    sell(variant)
    roll_up(db_now() + timedelta(minutes=1))
    boss = logged_in(make_boss())
    assert "1 key, sold for ¥7.00, whose cost is unknown" in the_page(boss)

    KeyBatch.objects.update(unit_cost_minor=200, cost_currency="CNY")

    page = the_page(boss)
    assert "¥5.00" in page
    assert "whose cost is unknown" not in page


def test_low_stock_is_told_where_a_threshold_says_so():
    low = make_variant(keys=9, code="low", low_stock_at=9)
    make_variant(keys=1, code="unwatched")
    sold_out = make_variant(code="sold-out")
    Variant.objects.filter(pk=low.pk).update(name="低")
    Variant.objects.filter(pk=sold_out.pk).update(name="无")
    sell(low, ago=timedelta(days=1), quantity=2)
    roll_up(db_now())

    page = the_page()

    running_low = page.split("Running low")[1].split("</table>")[0]
    assert "低" in running_low
    assert "24 days" in running_low  # seven are left, and two went in a week
    assert "无" in running_low
    assert "sold out" in running_low
    assert running_low.count("<tr") == 3


def test_currencies_are_never_added_up():
    sell(make_variant(keys=1, price_minor=700))
    sell(make_variant(keys=1, price_minor=900, currency="USD"))
    roll_up(db_now() + timedelta(minutes=1))

    page = the_page()

    assert "Received by day, CNY" in page
    assert "Received by day, USD" in page
    assert "¥7.00" in page
    assert "$9.00" in page
    assert "16.00" not in page


def test_each_shop_has_figures_of_its_own():
    sell(make_variant(keys=1, price_minor=700))
    other = make_shop("other", name="别家")
    sell(make_variant(keys=1, price_minor=1100, shop=other))
    boss = logged_in(make_boss())

    assert "¥7.00" in the_page(boss)
    assert "11.00" not in the_page(boss)
    there = the_page(boss, f"?shop={other.pk}")
    assert "¥11.00" in there
    assert "7.00" not in there


def test_it_takes_as_many_queries_whatever_there_is(django_assert_max_num_queries):
    for count in range(4):
        sell(make_variant(keys=5, low_stock_at=9), ago=timedelta(days=count))
    roll_up(db_now() + timedelta(minutes=1))
    boss = logged_in(make_boss())
    with django_assert_max_num_queries(QUERIES):
        the_page(boss)


def test_money_and_orders_are_for_those_who_may_see_them():
    sell(make_variant(keys=1))
    page = the_page(logged_in(make_clerk("inventory.view_product")))
    assert "9.90" not in page
    assert "Received today" not in page
    assert "Orders that need you" not in page


def test_without_a_shop_there_is_nothing_to_count():
    assert "There is no shop yet" in the_page()
