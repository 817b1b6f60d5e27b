"""Correcting the contact e-mail."""

import pytest

from cardshop.common.clock import db_now
from cardshop.outbox.models import OutboxMessage
from orders.errors import TooManyCorrections
from orders.models import Order
from orders.services.contact import MAX_CORRECTIONS, correct_contact
from orders.services.delivery import deliver_orders
from tests.factories import make_order, make_variant, pay_order

pytestmark = pytest.mark.django_db


def correct(order, email):
    correct_contact(order, contact_email=email, now=db_now())
    order.refresh_from_db()


def mails():
    return OutboxMessage.objects.filter(task="orders.mail_delivery").count()


def test_a_correction_changes_the_address_and_nothing_that_limits_hang_on():
    order = make_order(make_variant(keys=1))
    buyer_key = order.buyer_key

    correct(order, "right@example.org")

    assert (order.contact_email, order.buyer_key) == ("right@example.org", buyer_key)
    assert [event.reason for event in order.events.all()] == ["placed", "contact e-mail corrected"]
    assert mails() == 0


def test_a_delivered_order_is_mailed_again_to_the_new_address():
    order = make_order(make_variant(keys=1))
    pay_order(order)
    deliver_orders([order.pk], db_now())
    assert mails() == 1

    correct(Order.objects.get(), "right@example.org")
    correct(Order.objects.get(), "right@example.org")

    assert mails() == 2


def test_one_order_cannot_mail_the_whole_world():
    order = make_order(make_variant(keys=1))
    for number in range(MAX_CORRECTIONS):
        correct(order, f"a{number}@example.org")

    with pytest.raises(TooManyCorrections):
        correct(order, "one.more@example.org")
