"""The mail that follows a delivery."""

import pytest
from django.core import mail

from cardshop.common.clock import db_now
from orders.models import Order
from orders.services.delivery import deliver_orders
from orders.services.mail import mail_delivery
from tests.factories import make_order, make_variant, pay_order, stock_up

pytestmark = pytest.mark.django_db


def delivered(**shop):
    variant = make_variant()
    (key,) = stock_up(variant, 1)
    order = make_order(variant)
    pay_order(order)
    deliver_orders([order.pk], db_now())
    variant.shop.__class__.objects.update(**shop)
    return Order.objects.select_related("shop").get(), key


def test_the_mail_has_a_link_to_the_order_and_no_key():
    order, key = delivered(contact_email="help@example.org")

    mail_delivery(order)

    (message,) = mail.outbox
    assert message.to == ["lin@example.org"]
    assert message.reply_to == ["help@example.org"]
    assert order.number in message.subject
    assert f"http://demo.localhost:8000/o/{order.token}/" in message.body
    assert key not in message.body


def test_the_key_stands_in_the_mail_only_where_the_merchant_wants_that():
    order, key = delivered(mail_plain_keys=True)

    mail_delivery(order)

    assert key in mail.outbox[0].body


def test_the_mail_speaks_the_language_of_the_order():
    order, _ = delivered()
    order.language = "en"

    mail_delivery(order)

    assert "Your keys from Starriver Keys" in mail.outbox[0].subject
    assert f"/en/o/{order.token}/" in mail.outbox[0].body
