"""The mail to who was next in line and did not look."""

from smtplib import SMTPRecipientsRefused

import pytest
from django.core import mail
from django.utils.timezone import localtime

from cardshop.common.clock import db_now
from cardshop.outbox.services import NotReached
from orders.models import Order
from orders.services import turn_mail as subject
from orders.services.turn_mail import mail_turns
from tests.factories import make_order, make_variant, pay_order

pytestmark = pytest.mark.django_db


@pytest.fixture
def order():
    return make_order(make_variant(keys=1))


def test_it_says_until_when_to_pay_and_where(order):
    assert mail_turns([order.pk], db_now()) == {}

    (message,) = mail.outbox
    until = f"{localtime(order.reserved_until):%H:%M}"
    assert message.to == [order.contact_email]
    assert until in message.subject
    assert order.number in message.subject
    assert f"{until} (UTC+0800)" in message.body
    assert f"http://demo.localhost:8000/o/{order.token}/" in message.body


@pytest.mark.parametrize(("language", "words"), [("en", "Your turn"), ("zh-hans", "轮到您了")])
def test_it_speaks_the_language_of_the_order(order, language, words):
    Order.objects.update(language=language)

    mail_turns([order.pk], db_now())

    assert words in mail.outbox[0].subject


def test_a_turn_that_is_over_is_not_called(order):
    mail_turns([order.pk], order.reserved_until)
    pay_order(order)
    mail_turns([order.pk], db_now())

    assert mail.outbox == []


def orders_of(*addresses):
    variant = make_variant(keys=len(addresses))
    return [make_order(variant, contact_email=address).pk for address in addresses]


def test_an_address_that_is_refused_keeps_no_other_mail_waiting(server):
    bad, good = orders_of("bad@example.org", "good@example.org")
    server.says["bad@example.org"] = SMTPRecipientsRefused({})

    assert list(mail_turns([bad, good], db_now())) == [bad]
    assert [message.to for message in mail.outbox] == [["good@example.org"]]


def test_many_turns_go_over_one_connection(server):
    ids = orders_of("a@example.org", "b@example.org", "c@example.org")

    assert mail_turns(ids, db_now()) == {}

    assert server.opened == 1
    assert len(mail.outbox) == 3


def test_for_turns_that_are_all_over_nobody_is_called_up(server, order):
    mail_turns([order.pk], order.reserved_until)

    assert server.opened == 0


def test_what_there_is_no_time_for_is_due_again_at_once(order, monkeypatch):
    monkeypatch.setattr(subject, "SENDING", -1.0)

    failed = mail_turns([order.pk], db_now())

    assert [type(error) for error in failed.values()] == [NotReached]
