"""Lists ask the database as much whether there is one row or there are many, and miss none between pages."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cardshop.common.clock import db_now
from cardshop.merchant_api.tests.calling import API, make_own, write
from orders.services.delivery import deliver_orders
from tests.factories import make_by_hand, make_order, make_variant, pay_order

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]
LISTS = ("products", "variants", "imports", "orders", "refunds")


def sell_one(own) -> None:
    order = make_order(make_variant(keys=1))
    pay_order(order)
    deliver_orders([order.pk], db_now())
    said = {"line": order.items.get().pk, "reason": "bad"}
    assert write(own, f"orders/{order.number}/refunds/", said).status_code == 202


def asked(own, name: str) -> int:
    with CaptureQueriesContext(connection) as asked:
        assert own.call(f"{API}{name}/").status_code == 200
    return len(asked)


def test_a_list_costs_the_same_for_one_row_and_for_many():
    own = make_own()
    sell_one(own)
    for_one = {name: asked(own, name) for name in LISTS}
    for _more in range(2):
        sell_one(own)

    assert {name: asked(own, name) for name in LISTS} == for_one


def test_an_order_costs_the_same_for_one_unit_and_for_many():
    own, costs = make_own(), []
    for quantity in (1, 5):
        order = make_order(make_by_hand(asks=[{"name": "账号", "is_required": False}]), quantity=quantity)
        pay_order(order)
        costs.append(asked(own, f"orders/{order.number}"))

    assert costs[0] == costs[1]


def test_pages_have_every_row_once():
    own = make_own()
    codes = [make_variant().code for _variant in range(5)]

    found, after = [], "0"
    while after is not None:
        page = own.call(f"{API}variants/?limit=2&after={after}").json()
        found += [variant["code"] for variant in page["variants"]]
        after = page["next"]

    assert found == codes
