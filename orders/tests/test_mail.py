"""The mail that follows a delivery."""

from smtplib import SMTPRecipientsRefused, SMTPServerDisconnected

import pytest
from django.core import mail

from cardshop.common.clock import db_now
from cardshop.outbox.services import NotReached
from orders.models import Order
from orders.services import mail as subject
from orders.services.delivery import deliver_orders
from orders.services.mail import mail_delivered_orders
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

    mail_delivered_orders([order.pk], db_now())

    (message,) = mail.outbox
    assert message.to == [order.contact_email]
    assert message.reply_to == ["help@example.org"]
    assert order.number in message.subject
    assert f"http://demo.localhost:8000/o/{order.token}/" in message.body
    assert key not in message.body


def test_the_key_stands_in_the_mail_only_where_the_merchant_wants_that():
    order, key = delivered(mail_plain_keys=True)

    mail_delivered_orders([order.pk], db_now())

    assert key in mail.outbox[0].body


def test_the_mail_speaks_the_language_of_the_order():
    order, _ = delivered()
    Order.objects.update(language="en")

    mail_delivered_orders([order.pk], db_now())

    assert "Your keys from Starriver Keys" in mail.outbox[0].subject
    assert f"/en/o/{order.token}/" in mail.outbox[0].body


def deliver_to(*addresses):
    variant = make_variant(keys=len(addresses))
    orders = [make_order(variant, contact_email=address) for address in addresses]
    for order in orders:
        pay_order(order)
    ids = [order.pk for order in orders]
    deliver_orders(ids, db_now())
    return ids


def test_many_mails_go_over_one_connection_and_cost_two_queries(server, django_assert_num_queries):
    ids = deliver_to("a@example.org", "b@example.org", "c@example.org")
    now = db_now()

    with django_assert_num_queries(2):
        assert mail_delivered_orders(ids, now) == {}

    assert server.opened == 1
    assert sorted(message.to[0] for message in mail.outbox) == [
        "a@example.org",
        "b@example.org",
        "c@example.org",
    ]


def test_an_address_that_is_refused_keeps_no_other_mail_waiting(server):
    first, second = deliver_to("a@example.org", "b@example.org")
    server.says["a@example.org"] = refused = SMTPRecipientsRefused({})

    assert mail_delivered_orders([first, second], db_now()) == {first: refused}

    assert [message.to for message in mail.outbox] == [["b@example.org"]]


def test_a_server_that_leaves_is_not_called_again_for_each_of_those_still_to_go(server):
    ids = deliver_to("a@example.org", "b@example.org", "c@example.org")
    server.says.update(dict.fromkeys(["b@example.org", "c@example.org"], SMTPServerDisconnected("gone")))

    failed = mail_delivered_orders(ids, db_now())

    assert list(failed) == ids[1:]
    assert server.opened == 1
    assert [message.to for message in mail.outbox] == [["a@example.org"]]


def test_what_a_slow_server_leaves_no_time_for_is_due_again_at_once(server, monkeypatch):
    ids = deliver_to("a@example.org", "b@example.org")
    monkeypatch.setattr(subject, "SENDING", 0.0)

    failed = mail_delivered_orders(ids, db_now())

    assert [type(error) for error in failed.values()] == [NotReached, NotReached]
