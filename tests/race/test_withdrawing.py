"""A batch is withdrawn while it is being sold."""

import pytest

from cardshop.common.clock import db_now
from inventory.models import CardKey, KeyBatch, Stock
from inventory.withdrawing import void_free_keys
from orders.errors import DomainError
from orders.models import DeliveredKey, Order
from orders.services.delivery import SHORT_OF_KEYS, deliver_orders
from tests.factories import make_channel, make_order, make_variant, pay_order, stock_up
from tests.race.racing import broken_invariants, race_all

pytestmark = pytest.mark.django_db(transaction=True)

BUYERS, ROUNDS = 6, 4


def withdraw_a_batch_that_is_being_sold() -> KeyBatch:
    """Twenty bad keys and ten good ones for 24 buyers, of whom the first few get theirs in time."""
    variant = make_variant(keys=20)
    bad = KeyBatch.objects.get()
    stock_up(variant, 10)
    make_channel()

    def buy() -> None:
        for _ in range(ROUNDS):
            try:
                order = make_order(variant)
            except DomainError:
                return  # sold out
            pay_order(order)
            deliver_orders([order.pk], db_now())

    race_all(*[buy] * BUYERS, *[lambda: void_free_keys(bad, db_now())] * 2)
    for order in Order.objects.filter(status="paid"):
        deliver_orders([order.pk], db_now())
    return bad


def test_no_key_of_a_withdrawn_batch_is_sold_and_whoever_is_left_without_is_known():
    bad = withdraw_a_batch_that_is_being_sold()

    stock = Stock.objects.get()
    assert not CardKey.objects.filter(batch=bad, status="available").exists()
    assert DeliveredKey.objects.filter(card_key__status="void").count() == 0
    assert Order.objects.filter(status="paid", attention=SHORT_OF_KEYS).count() == stock.short
    assert Order.objects.count() == stock.claimed
    assert broken_invariants() == []


def test_control_without_the_counter_the_shop_goes_on_selling_what_it_has_not(monkeypatch):
    monkeypatch.setattr("inventory.withdrawing.count_out", lambda rows, count: None)

    withdraw_a_batch_that_is_being_sold()

    promised = Order.objects.filter(status="paid", attention=SHORT_OF_KEYS).count()
    assert promised > Stock.objects.get().short
    assert any("total_counts_keys" in finding for finding in broken_invariants())
