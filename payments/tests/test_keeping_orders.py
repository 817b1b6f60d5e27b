"""What the order page offers for later: the keys as a file, the mail again, a password."""

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client

from cardshop.common.clock import db_now
from cardshop.outbox.models import OutboxMessage
from orders.models import LookupPassword, Order
from orders.services.delivery import deliver_orders
from orders.services.resending import MOST_AN_HOUR
from orders.tasks import mail_deliveries
from tests.factories import make_order, make_shop, make_variant, pay_order, stock_up

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nobody_has_tried() -> None:
    cache.clear()


@pytest.fixture
def variant():
    return make_variant()


@pytest.fixture
def keys(variant) -> list[str]:
    return stock_up(variant, 2)


@pytest.fixture
def order(variant, keys) -> Order:
    return make_order(variant, quantity=2)


def deliver(order: Order) -> None:
    pay_order(order)
    deliver_orders([order.pk], db_now())


def test_the_file_opens_in_every_editor_and_says_what_the_keys_are_for(client, order, keys):
    deliver(order)

    response = client.get(f"/o/{order.token}/keys.txt")

    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["Content-Disposition"] == f'attachment; filename="{order.number}.txt"'
    assert "no-store" in response["Cache-Control"]
    assert response["X-Content-Type-Options"] == "nosniff"
    head, placed, empty, what, *listed = response.content.decode("utf-8-sig").split("\r\n")
    assert response.content.startswith(b"\xef\xbb\xbf")
    assert head == f"星河卡铺 · 订单 {order.number}"
    assert placed.endswith("(UTC+0800)")
    assert (empty, what) == ("", "星币充值 · 100 枚 × 2")
    assert sorted(listed) == sorted([*keys, ""])


def test_the_file_speaks_english(client, order):
    deliver(order)

    text = client.get(f"/en/o/{order.token}/keys.txt").content.decode()

    assert f"Starriver Keys · Order {order.number}" in text
    assert "Star coins · 100 coins × 2" in text


def test_before_delivery_the_file_leads_to_the_order_and_without_the_link_nowhere(client, order, keys):
    before = client.get(f"/o/{order.token}/keys.txt")
    deliver(order)
    make_shop("other")

    assert (before.status_code, before["Location"]) == (303, f"/o/{order.token}/")
    assert client.get(f"/o/{order.number}/keys.txt").status_code == 404
    elsewhere = client.get(f"/o/{order.token}/keys.txt", headers={"Host": "other.localhost"})
    assert elsewhere.status_code == 404
    assert not any(key in elsewhere.content.decode() for key in keys)
    assert client.post(f"/o/{order.token}/keys.txt").status_code == 405


@pytest.mark.parametrize(("lang", "says"), [("", "邮件已重发多次"), ("/en", "was sent again several times")])
def test_the_mail_is_sent_again_and_no_more_than_a_few_times_an_hour(client, order, lang, says):
    deliver(order)
    mail_deliveries()
    assert "?done" not in client.get(f"/o/{order.token}/").content.decode()

    for _ in range(MOST_AN_HOUR):
        sent = client.post(f"{lang}/o/{order.token}/mail/")
        assert (sent.status_code, sent["Location"]) == (303, f"{lang}/o/{order.token}/?done=mail#contact")
        mail_deliveries()
    refused = client.post(f"{lang}/o/{order.token}/mail/")

    assert refused.status_code == 429
    assert says in refused.content.decode()
    assert [message.to for message in mail.outbox] == [[order.contact_email]] * (1 + MOST_AN_HOUR)
    order.events.filter(reason="mail asked for again").update(at=order.placed_at.replace(year=2000))
    assert client.post(f"{lang}/o/{order.token}/mail/").status_code == 303


def test_there_is_nothing_to_mail_before_delivery(client, order):
    assert "/mail/" not in client.get(f"/o/{order.token}/").content.decode()

    assert client.post(f"/o/{order.token}/mail/").status_code == 409
    assert not OutboxMessage.objects.filter(task="orders.mail_delivery").exists()


def test_a_password_is_kept_hashed_and_opens_the_order(client, order):
    page = client.post(f"/o/{order.token}/password/", {"password": "seven blue herons"})

    assert (page.status_code, page["Location"]) == (303, f"/o/{order.token}/?done=password#find-again")
    assert order.number in client.get(page["Location"]).content.decode().split("done", 1)[1]
    assert "herons" not in LookupPassword.objects.get().encoded
    found = client.post("/orders/", {"number": order.number, "password": "seven blue herons"})
    assert found["Location"] == f"/o/{order.token}/"


@pytest.mark.parametrize(
    "password", ["", "short", "password", "12345678", "x" * 129, "\0" * 10, "x" * 60_000]
)
def test_a_weak_password_is_refused_where_it_was_typed(client, order, password):
    page = client.post(f"/o/{order.token}/password/", {"password": password})

    assert page.status_code == 400
    assert 'id="password-error"' in page.content.decode()
    assert not LookupPassword.objects.exists()


def test_passwords_are_not_set_all_day(client, order, settings):
    settings.PASSWORDS_PER_ORDER = "1/h"
    client.post(f"/o/{order.token}/password/", {"password": "seven blue herons"})

    refused = client.post(f"/o/{order.token}/password/", {"password": "seven red herons"})

    assert refused.status_code == 429
    assert refused["Retry-After"] == "3600"


def test_whoever_comes_by_get_finds_the_order(order):
    for action in ("mail", "password"):
        response = Client().get(f"/o/{order.token}/{action}/")
        assert response["Location"] == f"/o/{order.token}/"
