"""What is paid on an account is no sale yet."""

from datetime import timedelta

import pytest
from django.utils.timezone import localdate

from cardshop.common.clock import db_now
from cardshop.reports.models import DailyOrders, DailySales
from cardshop.reports.reading import paid_between, sales_by_day
from cardshop.reports.rolling_up import roll_up
from payments.services.topping_up import ask_for_top_up, credit_accounts
from resellers.models import Event, EventKind
from resellers.tests.calling import make_reseller
from resellers.webhooks.endpoints import make_endpoint
from tests.factories import make_order, make_variant, pay_order

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]


def test_it_is_in_no_figure_and_no_event():
    variant, reseller = make_variant(keys=1), make_reseller()
    make_endpoint(variant.shop, url="https://hook.example/", kinds=EventKind.values, now=db_now())
    sold = make_order(variant)
    pay_order(sold)
    top_up = ask_for_top_up(reseller.balance, amount_minor=50_000, key="k", actor="boss", now=db_now())
    pay_order(top_up.order)
    assert credit_accounts([top_up.order_id], db_now()) == {}
    shops, now = [variant.shop_id], db_now()

    of_day = sales_by_day(shops, since=localdate(), now=now, up_to=None)["CNY"][localdate()]
    assert (of_day.orders, of_day.revenue_minor) == (1, 990)
    assert paid_between(shops, now - timedelta(hours=1), now)["CNY"].revenue_minor == 990
    assert set(Event.objects.values_list("subject", flat=True)) == {sold.number}
    roll_up(db_now() + timedelta(minutes=2))
    assert sum(DailyOrders.objects.values_list("orders", flat=True)) == 1
    assert sum(DailySales.objects.values_list("revenue_minor", flat=True)) == 990
