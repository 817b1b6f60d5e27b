"""Card keys that do not open: nothing of them is handed over or shown, and a person is told."""

import os
from base64 import b64encode

import pytest
from django.core import mail

from cardshop.common.clock import db_now
from cardshop.common.crypto import CannotOpen
from cardshop.outbox.models import OutboxMessage
from inventory.card_keys import reveal
from inventory.models import CardKey, IndexKey, Stock
from orders import selectors
from orders.models import DeliveredKey, Order
from orders.services.delivery import (
    DAMAGED,
    DO_NOT_OPEN,
    deliver_all_waiting,
    deliver_orders,
    deliver_waiting,
)
from orders.services.revealing import CLOSED
from orders.tasks import deliver, mail_deliveries
from tests.factories import counters, make_order, make_variant, pay_order, stock_up
from tests.race.racing import broken_invariants
from tests.staff import logged_in, make_boss

pytestmark = pytest.mark.django_db(transaction=True)

KEK, ANOTHER = (b64encode(os.urandom(32)).decode() for _ in range(2))
SENTENCE = "cannot be shown right now"


@pytest.fixture(autouse=True)
def _encryption_key(settings):
    settings.CARD_KEY_KEK = f"k:{KEK}"


def with_a_wrong_key(_key, settings):
    settings.CARD_KEY_KEK = f"k:{ANOTHER}"


def without_its_key(_key, settings):
    settings.CARD_KEY_KEK = f"another:{ANOTHER}"


def truncated(key, _settings):
    CardKey.objects.filter(pk=key.pk).update(sealed=bytes(key.sealed)[:-4])


def swapped(key, _settings):
    stock_up(make_variant(), 1)
    other = CardKey.objects.order_by("pk").last()
    CardKey.objects.filter(pk=key.pk).update(sealed=bytes(other.sealed))


all_damages = pytest.mark.parametrize("damage", [with_a_wrong_key, without_its_key, truncated, swapped])


def paid_order(variant, **wanted):
    order = make_order(variant, contact_email="lin@example.org", **wanted)
    pay_order(order)
    return order


def delivered_order(variant, **wanted):
    order = paid_order(variant, **wanted)
    deliver_orders([order.pk], db_now())
    order.refresh_from_db()
    assert order.status == "delivered"
    return order


def page_of(client, order):
    return client.get(f"/en/o/{order.token}/", headers={"accept-language": "en"}).content


def api_of(client, order):
    return client.get(f"/api/v1/orders/{order.token}/keys/")


def assert_shows_nothing_of(content: bytes, key: CardKey) -> None:
    sealed = bytes(CardKey.objects.get(pk=key.pk).sealed)
    assert sealed not in content
    assert sealed.hex().encode() not in content
    assert b64encode(sealed)[:40] not in content
    assert sealed.decode(errors="replace")[-12:].encode() not in content


@all_damages
def test_what_does_not_open_is_not_handed_over(damage, settings, client):
    order = paid_order(make_variant(keys=1))
    key = CardKey.objects.first()
    damage(key, settings)

    deliver_orders([order.pk], db_now())

    order.refresh_from_db()
    assert (order.status, order.attention) == ("paid", DO_NOT_OPEN)
    assert not DeliveredKey.objects.exists()
    assert CardKey.objects.get(pk=key.pk).status == "available"
    assert_shows_nothing_of(page_of(client, order), key)
    assert broken_invariants() == []


@all_damages
def test_what_does_not_open_is_not_shown(damage, settings, client):
    order = delivered_order(make_variant(keys=1))
    key = CardKey.objects.first()
    damage(key, settings)

    page, said = page_of(client, order), api_of(client, order)

    assert SENTENCE in page.decode()
    assert said.json()["lines"][0]["keys"] == []
    assert said.json()["lines"][0]["closed"] == 1
    assert_shows_nothing_of(page, key)
    assert_shows_nothing_of(said.content, key)
    order.refresh_from_db()
    assert order.attention == CLOSED
    assert order.events.filter(reason=CLOSED).count() == 1  # however often it is looked at


def sealed_if_it_does_not_open(card_key: CardKey) -> str:
    """As libraries do that swallow a failed decryption."""
    try:
        return reveal(card_key)
    except CannotOpen:
        return bytes(card_key.sealed).hex()


@all_damages
def test_control_a_fallback_to_what_is_stored_would_show_it(damage, settings, client, monkeypatch):
    order = delivered_order(make_variant(keys=1))
    key = CardKey.objects.first()
    damage(key, settings)
    monkeypatch.setattr(selectors, "reveal", sealed_if_it_does_not_open)

    page = page_of(client, order)

    with pytest.raises(AssertionError):
        assert_shows_nothing_of(page, key)
    order.refresh_from_db()
    assert order.attention == ""


def test_the_other_keys_of_the_page_and_other_orders_go_on_being_shown(client, settings):
    variant = make_variant()
    first, second, third, fourth = stock_up(variant, 4)
    order, other = delivered_order(variant, quantity=3), delivered_order(variant)
    truncated(CardKey.objects.order_by("pk")[1], settings)

    page = page_of(client, order).decode()

    assert first in page
    assert third in page
    assert second not in page
    assert "One of your keys cannot be shown right now" in page
    assert fourth in page_of(client, other).decode()
    other.refresh_from_db()
    assert other.attention == ""


def test_once_the_key_is_right_again_the_page_is_too_and_nobody_is_kept_waiting(client, settings):
    variant = make_variant()
    (key,) = stock_up(variant, 1)
    order = delivered_order(variant)
    with_a_wrong_key(None, settings)
    page_of(client, order)

    settings.CARD_KEY_KEK = f"k:{KEK}"
    assert key in page_of(client, order).decode()

    order.refresh_from_db()
    assert order.attention == ""


def test_the_merchant_can_try_again_from_the_list_of_what_waits(client, settings):
    order = delivered_order(make_variant(keys=1))
    without_its_key(None, settings)
    page_of(client, order)
    boss, button = logged_in(make_boss()), f"/admin/orders/order/attention/order/{order.pk}/look/"

    assert "They still do not open." in boss.post(button, follow=True).content.decode()
    settings.CARD_KEY_KEK = f"k:{KEK}"
    boss.post(button)

    order.refresh_from_db()
    assert order.attention == ""


def test_the_merchant_can_replace_what_does_not_open(client, settings):
    variant = make_variant(keys=1)
    order = delivered_order(variant)
    truncated(CardKey.objects.get(), settings)
    page_of(client, order)
    boss, button = logged_in(make_boss()), f"/admin/orders/order/attention/order/{order.pk}/replace/"
    assert "import some first" in boss.post(button, follow=True).content.decode()
    (fresh,) = stock_up(variant, 1)

    boss.post(button)

    assert fresh in page_of(client, order).decode()
    order.refresh_from_db()
    assert order.attention == ""
    assert broken_invariants() == []


def test_a_mail_with_keys_in_it_goes_out_with_the_link_alone(settings):
    variant = make_variant(keys=1)
    variant.shop.mail_plain_keys = True
    variant.shop.save()
    order = delivered_order(variant)
    with_a_wrong_key(None, settings)

    mail_deliveries()

    (sent,) = mail.outbox
    assert order.token in sent.body
    assert not OutboxMessage.objects.filter(task="orders.mail_delivery", done_at=None).exists()


@pytest.mark.parametrize("damage", [truncated, swapped])
def test_a_damaged_key_is_set_aside_and_the_buyer_gets_the_next_one(damage, settings):
    variant = make_variant(keys=3)
    damaged = CardKey.objects.order_by("pk").first()
    damage(damaged, settings)
    order = paid_order(variant)

    deliver_orders([order.pk], db_now())

    order.refresh_from_db()
    damaged.refresh_from_db()
    assert (order.status, order.attention) == ("delivered", DAMAGED)
    assert (damaged.status, damaged.void_because) == ("void", "damaged")
    assert counters(variant) == (2, 2, 1)
    assert broken_invariants() == []


def test_a_wrong_encryption_key_sets_nothing_aside(settings):
    """The keys that are there are passed over, since others were imported under the key that is wrong."""
    variant = make_variant(keys=3)
    with_a_wrong_key(None, settings)
    IndexKey.objects.all().delete()  # or there would be no import at all
    stock_up(variant, 1)
    order = paid_order(variant)

    deliver_orders([order.pk], db_now())

    order.refresh_from_db()
    assert (order.status, order.attention) == ("delivered", "")
    assert CardKey.objects.filter(status="available").count() == 3
    assert counters(variant) == (4, 4, 1)


def test_one_order_whose_keys_do_not_open_keeps_no_other_waiting(settings):
    variant, other = make_variant(keys=1), make_variant(keys=1)
    stuck, served = paid_order(variant), paid_order(other)
    truncated(CardKey.objects.get(variant=variant), settings)

    deliver()

    stuck.refresh_from_db()
    served.refresh_from_db()
    assert (stuck.status, served.status) == ("paid", "delivered")


def test_those_that_waited_are_served_by_themselves_once_the_key_is_right(settings):
    order = paid_order(make_variant(keys=1))
    with_a_wrong_key(None, settings)
    deliver_orders([order.pk], db_now())
    settings.CARD_KEY_KEK = f"k:{KEK}"

    deliver_all_waiting(db_now())
    deliver()

    order.refresh_from_db()
    assert (order.status, order.attention) == ("delivered", "")


def test_or_when_other_keys_come(settings):
    variant = make_variant(keys=1)
    order = paid_order(variant)
    truncated(CardKey.objects.first(), settings)
    deliver_orders([order.pk], db_now())

    stock_up(variant, 1)
    deliver_waiting([variant.pk], db_now())
    deliver()

    order.refresh_from_db()
    assert order.status == "delivered"
    assert Stock.objects.get().short == 0
    assert Order.objects.count() == 1
