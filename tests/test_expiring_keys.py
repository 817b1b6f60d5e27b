"""Keys that expire: the first to expire is sold first, an expired one never, and stock says so."""

from datetime import date, timedelta

import pytest
from django.db import connection

from cardshop.common.clock import db_now
from inventory import picking
from inventory.card_keys import reveal
from inventory.errors import ShortPick
from inventory.models import CardKey, KeyBatch, Stock
from inventory.picking import pick_keys
from inventory.withdrawing import void_expired_keys, void_free_keys
from orders.models import Order
from orders.services.delivery import SHORT_OF_KEYS, deliver_orders, deliver_waiting
from payments.services.closing import finish_closing
from payments.services.refunds import request_refund
from payments.services.shortage import cover_shortage
from payments.tasks import send_refunds
from payments.tests.refunder import refunding_channel
from tests.factories import (
    NOON,
    counters,
    make_attempt,
    make_order,
    make_variant,
    paid_evidence,
    pay_order,
    settle_evidence,
    stock_up,
)
from tests.race.racing import broken_invariants
from tests.staff import logged_in, make_boss

pytestmark = pytest.mark.django_db(transaction=True)

TODAY = date(2026, 3, 1)  # of NOON, in the shops' time zone
DAY = timedelta(days=1)


def in_clear(ids):
    return [reveal(CardKey.objects.get(pk=pk)) for pk in ids]


def short_of(variant):
    return Stock.objects.get(variant=variant).short


def test_what_expires_first_is_picked_first_and_what_never_does_last():
    variant = make_variant()
    never = stock_up(variant, 1)
    later = stock_up(variant, 1, expires_on=TODAY + 9 * DAY)
    first = stock_up(variant, 2, expires_on=TODAY)  # good for the whole day

    assert in_clear(pick_keys(variant_id=variant.pk, quantity=4, now=NOON)) == first + later + never


def test_an_expired_key_is_never_picked():
    variant = make_variant()
    stock_up(variant, 1, expires_on=TODAY - DAY)
    good = stock_up(variant, 1)

    assert in_clear(pick_keys(variant_id=variant.pk, quantity=1, now=NOON)) == good
    with pytest.raises(ShortPick):
        pick_keys(variant_id=variant.pk, quantity=1, now=NOON)


def test_a_pick_is_one_look_into_the_index_whatever_else_is_there():
    variant = make_variant(keys=300)
    stock_up(variant, 300, expires_on=TODAY + DAY)
    make_variant(keys=300)
    asked = {"variant": variant.pk, "quantity": 3, "today": TODAY}
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE inventory_cardkey")
        cursor.execute("EXPLAIN " + picking.PICK.format(skip_locked="SKIP LOCKED"), asked)
        plan = "\n".join(row[0] for row in cursor.fetchall())

    assert "Index Scan using cardkey_by_expiry" in plan
    assert "Sort" not in plan


def test_expired_free_keys_leave_the_stock():
    variant = make_variant(keys=2)
    stock_up(variant, 3, expires_on=TODAY - DAY)

    assert void_expired_keys(NOON) == 3
    assert void_expired_keys(NOON) == 0

    assert counters(variant) == (2, 2, 0)
    assert set(CardKey.objects.filter(status="void").values_list("void_because", flat=True)) == {"expired"}
    assert broken_invariants() == []


def test_of_what_is_sold_in_waves_the_closed_part_goes_first():
    variant = make_variant(keys=4)
    variant.sells_in_waves = True
    variant.save()
    stock_up(variant, 3, expires_on=TODAY - DAY)
    assert counters(variant) == (7, 4, 0)

    void_expired_keys(NOON)

    assert counters(variant) == (4, 4, 0)


def test_a_large_batch_goes_in_portions(monkeypatch):
    monkeypatch.setattr("inventory.withdrawing.AT_ONCE", 2)
    variant = make_variant(keys=5)

    assert void_free_keys(KeyBatch.objects.get(), NOON) == 5
    assert counters(variant) == (0, 0, 0)


def two_orders_and_one_key_left():
    """Two orders of one key each; one of the two keys has expired. Returns the older, then the newer one."""
    variant = make_variant(keys=1)
    stock_up(variant, 1, expires_on=TODAY - DAY)
    orders = [make_order(variant), make_order(variant)]
    void_expired_keys(NOON)
    assert (counters(variant), short_of(variant)) == ((2, 2, 2), 1)
    assert broken_invariants() == []
    return variant, *orders


def test_where_claimed_keys_expired_the_newest_unpaid_order_makes_way():
    variant, older, newer = two_orders_and_one_key_left()

    cover_shortage([Stock.objects.get().pk], db_now())
    cover_shortage([Stock.objects.get().pk], db_now())  # its hold is on its way back already
    assert set(Order.objects.values_list("pk", "status")) == {(older.pk, "pending"), (newer.pk, "closing")}
    finish_closing([newer.pk], db_now())

    assert (counters(variant), short_of(variant)) == ((1, 1, 1), 0)
    pay_order(older)
    deliver_orders([older.pk], db_now())
    older.refresh_from_db()
    assert older.status == "delivered"
    assert broken_invariants() == []


def test_a_paid_order_without_a_key_waits_for_a_person_and_gets_the_first_new_one():
    variant, first, second = two_orders_and_one_key_left()
    for order in (first, second):
        pay_order(order)
        deliver_orders([order.pk], db_now())
    cover_shortage([Stock.objects.get().pk], db_now())
    second.refresh_from_db()
    assert (second.status, second.attention) == ("paid", SHORT_OF_KEYS)

    stock_up(variant, 3)

    # One of the three is spoken for before anybody can buy it.
    assert (counters(variant), short_of(variant)) == ((4, 4, 2), 0)
    deliver_waiting([variant.pk], db_now())
    deliver_orders([second.pk], db_now())
    second.refresh_from_db()
    assert (second.status, second.attention) == ("delivered", "")
    assert broken_invariants() == []


@pytest.mark.usefixtures("refunder")
def test_a_refund_of_an_order_without_a_key_puts_nothing_on_sale():
    variant = make_variant()
    stock_up(variant, 1, expires_on=TODAY - DAY)
    order = make_order(variant)
    attempt = make_attempt(order, refunding_channel())
    receipt = settle_evidence(attempt.channel, paid_evidence(attempt))
    void_expired_keys(NOON)

    request_refund(
        receipt, amount_minor=990, item=order.items.get(), reason="none left", actor="boss", now=db_now()
    )
    send_refunds()

    assert (counters(variant), short_of(variant)) == ((0, 0, 0), 0)
    assert broken_invariants() == []


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (-1, "(expired)"),
        (0, "(expires today)"),
        (1, "(expires soon, in 1 day)"),
        (30, "in 30 days"),
        (31, None),
    ],
)
def test_the_page_of_a_batch_says_when_it_expires(days, words):
    today = db_now().astimezone().date()
    stock_up(make_variant(), 1, expires_on=today + days * DAY)
    page = (
        logged_in(make_boss())
        .get(f"/admin/inventory/keybatch/{KeyBatch.objects.get().pk}/change/")
        .content.decode()
    )

    assert str(today + days * DAY) in page
    assert words in page if words else "expire" not in page
