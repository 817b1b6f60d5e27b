"""Deliveries that find fewer keys than were promised."""

import pytest

from cardshop.common.clock import db_now
from inventory.models import CardKey
from orders.services import delivery as subject
from orders.services.delivery import SHORT_OF_KEYS, deliver_orders
from tests.factories import make_order, make_variant, pay_order

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def paid_order():
    order = make_order(make_variant(keys=1))
    pay_order(order)
    return order


def test_a_real_shortage_puts_the_order_before_a_person(paid_order):
    CardKey.objects.update(status="void")

    deliver_orders([paid_order.pk], db_now())

    paid_order.refresh_from_db()
    assert (paid_order.status, paid_order.attention) == ("paid", SHORT_OF_KEYS)


def test_an_order_that_another_worker_has_delivered_meanwhile_is_left_alone(paid_order):
    deliver_orders([paid_order.pk], db_now())

    subject._put_before_person(paid_order.pk, SHORT_OF_KEYS, db_now())

    paid_order.refresh_from_db()
    assert (paid_order.status, paid_order.attention) == ("delivered", "")
