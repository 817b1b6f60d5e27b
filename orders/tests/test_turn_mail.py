"""The mail to who was next in line and did not look."""

from datetime import timedelta
from smtplib import SMTPServerDisconnected

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


def test_an_address_that_is_refused_keeps_no_other_mail_waiting(monkeypatch):
    variant = make_variant(keys=2)
    bad, good = (make_order(variant, contact_email=f"{name}@example.org") for name in ("bad", "good"))
    send = subject.EmailMessage.send

    def picky(message):
        if message.to == ["bad@example.org"]:
            raise SMTPServerDisconnected("no")
        return send(message)

    monkeypatch.setattr(subject.EmailMessage, "send", picky)

    assert list(mail_turns([bad.pk, good.pk], db_now() + timedelta(seconds=1))) == [bad.pk]
    assert [message.to for message in mail.outbox] == [["good@example.org"]]


def test_what_there_is_no_time_for_is_due_again_at_once(order, monkeypatch):
    monkeypatch.setattr(subject, "SENDING", -1.0)

    failed = mail_turns([order.pk], db_now())

    assert [type(error) for error in failed.values()] == [NotReached]
