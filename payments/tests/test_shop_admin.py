"""The merchant's page of a shop: what decides about money is changed with a code, and people hear of it."""

import pytest
from django.contrib.admin.models import LogEntry
from django.core import mail

from cardshop.common.clock import db_now
from cardshop.outbox.models import OutboxMessage
from cardshop.shops.models import Shop
from payments.services.refunds import OwnRequest, approve_refund, request_refund
from payments.tasks import mail_channel_changes, send_refunds
from payments.tests.refunder import refunding_channel
from tests.factories import (
    make_attempt,
    make_order,
    make_shop,
    make_variant,
    paid_evidence,
    settle_evidence,
)
from tests.staff import confirmed, let_code_age, make_boss

pytestmark = pytest.mark.django_db

SHOPS = "/admin/shops/shop/"
AGED = 301


@pytest.fixture
def boss():
    return confirmed(make_boss())


@pytest.fixture
def shop():
    return make_shop(host="shop.example.com", contact_email="help@example.com", refunds_need_two=True)


def form(**changes):
    entered = {
        "slug": "demo",
        "name": "星河",
        "host": "shop.example.com",
        "currency": "CNY",
        "contact_email": "help@example.com",
        "refunds_need_two": "on",
        "is_open": "on",
        **changes,
    }
    return {name: text for name, text in entered.items() if text is not None}


def change(boss, shop, **changes):
    answer = boss.post(f"{SHOPS}{shop.pk}/change/", form(**changes), REMOTE_ADDR="203.0.113.5")
    shop.refresh_from_db()
    return answer


@pytest.mark.parametrize(
    "host", ["https://a.example", "a.example/x", "a.example:80", "-a", "", "商店", "a b"]
)
def test_a_host_is_a_bare_host_name(boss, host):
    assert boss.post(f"{SHOPS}add/", form(host=host)).status_code == 200
    assert not Shop.objects.exists()


def test_a_host_is_kept_in_lower_case(boss):
    boss.post(f"{SHOPS}add/", form(host="Shop.Example.COM"))
    assert Shop.objects.get().host == "shop.example.com"


def test_a_shop_is_closed_and_not_deleted(boss, shop):
    assert boss.get(SHOPS).status_code == 200
    assert boss.get(f"{SHOPS}{shop.pk}/change/").status_code == 200
    assert boss.get(f"{SHOPS}{shop.pk}/delete/").status_code == 403


def test_an_open_session_changes_no_shop_and_adds_none(boss, shop):
    let_code_age(boss, AGED)

    assert boss.get(SHOPS).status_code == 200
    assert boss.get(f"{SHOPS}{shop.pk}/change/").headers["Location"].startswith("/admin/confirm/")
    assert change(boss, shop, host="thief.example.org", refunds_need_two=None).status_code == 403
    assert boss.post(f"{SHOPS}add/", form(slug="new", host="thief.example.org")).status_code == 403

    assert (shop.host, shop.refunds_need_two, Shop.objects.count()) == ("shop.example.com", True, 1)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"host": "other.example.com"}, "Host name: shop.example.com → other.example.com"),
        ({"refunds_need_two": None}, "A second person approves refunds: yes → no"),
        ({"currency": "JPY"}, "Currency: CNY → JPY"),
        ({"contact_email": ""}, "Support e-mail: help@example.com → –"),
    ],
    ids=["host", "two", "currency", "contact"],
)
def test_what_decides_is_written_down_and_mailed(boss, shop, changes, told):
    assert change(boss, shop, **changes).status_code == 302
    mail_channel_changes()

    (message,) = mail.outbox
    assert message.to == ["boss@example.org", "help@example.com"]
    for text in (told, "boss", "203.0.113.5", "Close the shop"):
        assert text in message.body
    assert "the shop “星河” was changed" in message.subject
    page = boss.get(f"{SHOPS}{shop.pk}/history/").content.decode()
    assert told in page
    assert "203.0.113.5" in page


def test_whoever_names_another_contact_is_told_of_at_the_former_one(boss, shop):
    change(boss, shop, contact_email="thief@example.org")
    mail_channel_changes()

    assert mail.outbox[0].to == ["boss@example.org", "thief@example.org", "help@example.com"]


def test_another_name_is_written_down_and_not_mailed(boss, shop):
    change(boss, shop)  # its name is new
    assert "→ 星河" in boss.get(f"{SHOPS}{shop.pk}/history/").content.decode()
    assert LogEntry.objects.count() == 1
    assert not OutboxMessage.objects.exists()


def test_a_new_shop_is_told(boss):
    boss.post(f"{SHOPS}add/", form())
    mail_channel_changes()
    assert "the shop “星河” was added" in mail.outbox[0].subject
    assert "Host name: shop.example.com" in mail.outbox[0].body


@pytest.mark.django_db(transaction=True)
def test_a_refund_that_was_asked_for_needs_two_whatever_is_changed_afterwards(boss, shop, refunder):
    attempt = make_attempt(make_order(make_variant(keys=1)), refunding_channel())
    receipt = settle_evidence(attempt.channel, paid_evidence(attempt, amount_minor=1990))
    refund = request_refund(receipt, amount_minor=1000, reason="over", actor="boss", now=db_now())

    change(boss, shop, refunds_need_two=None)

    assert not shop.refunds_need_two
    with pytest.raises(OwnRequest):
        approve_refund(refund, actor="boss", now=db_now())
    send_refunds()
    refund.refresh_from_db()
    assert (refund.status, refunder.asked) == ("awaited", [])
