"""What an order's page and API cost: buyers ask every second while they wait."""

from datetime import datetime

import pytest
from django.db import connection
from django.urls import reverse

from cardshop.common.clock import db_now
from orders.services.delivery import deliver_orders
from payments.services.refunds import request_refund
from payments.tests.refunder import refunding_channel
from tests.factories import (
    make_attempt,
    make_channel,
    make_order,
    make_variant,
    paid_evidence,
    pay_order,
    settle_evidence,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def order():
    make_channel()
    return make_order(make_variant(keys=1))


def state(client, order):
    return client.get(f"/api/v1/orders/{order.token}/").json()


def test_while_unpaid_it_is_four_queries(client, order, django_assert_num_queries):
    """The shop, the order with its lines and its money, the clock, the channels; three of them are
    remembered for a moment.
    """
    make_attempt(order)

    with django_assert_num_queries(4):
        assert state(client, order)["next_look"] == 1


def test_once_it_is_paid_it_is_three(client, order, django_assert_num_queries):
    pay_order(order)
    deliver_orders([order.pk], db_now())

    with django_assert_num_queries(3):
        assert state(client, order)["has_keys"]


def test_without_an_attempt_nobody_asks_every_second(client, order):
    assert state(client, order)["next_look"] == 5


def test_money_that_waits_for_a_person_is_known_to_have_come(client, order):
    pay_order(order, amount_minor=1)

    assert state(client, order)["money_received"]


@pytest.mark.usefixtures("refunder")
@pytest.mark.django_db(transaction=True)
def test_a_paid_page_learns_that_a_refund_has_begun(client):
    order = make_order(make_variant(keys=1))
    attempt = make_attempt(order, refunding_channel())
    receipt = settle_evidence(attempt.channel, paid_evidence(attempt))
    assert not state(client, order)["is_refunding"]

    line = order.items.get()
    request_refund(receipt, amount_minor=990, item=line, reason="", actor="lin", now=db_now())

    assert state(client, order)["is_refunding"]
    page = client.get(reverse("order", args=[order.token])).content.decode()
    assert 'data-is-refunding="true"' in page


def test_moments_are_the_shops_own_time_with_its_offset(client, order):
    said = state(client, order)["reserved_until"]

    assert said.endswith("+08:00")
    assert datetime.fromisoformat(said) == order.reserved_until


def test_columns_of_a_newer_release_are_no_matter(client, order):
    """While a release is rolled out, the old code meets the new tables."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # no table may be altered with checks still to come
        for table in ("orders_order", "orders_orderitem", "orders_deliveredkey", "inventory_cardkey"):
            cursor.execute(f"ALTER TABLE {table} ADD COLUMN of_a_newer_release integer")
    pay_order(order)
    deliver_orders([order.pk], db_now())

    assert state(client, order)["items"][0]["quantity"] == 1
    assert len(client.get(f"/api/v1/orders/{order.token}/keys/").json()["lines"][0]["keys"]) == 1
