"""Two people fill in one order; one fills in while another refunds; stock is set while the kind changes."""

import time
from threading import Event

import pytest
from django.db import IntegrityError, transaction

from cardshop.common.clock import db_now
from cardshop.common.locks import lock_rows
from inventory import setting
from inventory.models import CardKey, Fulfilment, KeyBatch, Stock
from inventory.setting import set_free
from orders.errors import FilledInMeanwhile, KindIsFixed
from orders.models import DeliveredKey, Order, OrderItem
from orders.services import fulfilling
from orders.services.fulfilling import fill_in
from orders.services.giving_back import begin_giving_back
from orders.services.kinds import change_kind
from tests.factories import make_by_hand, make_order, pay_order
from tests.race.racing import (
    begin_with,
    broken_invariants,
    linger,
    race,
    race_all,
    read_unlocked,
    without_constraint,
)

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE = 6
ENTER_TEXTS = "orders.services.fulfilling.enter_texts"  # between looking what is missing and handing it over


def announced(monkeypatch, name):
    """Set once the function `name` is called, which then takes a while."""
    is_called = Event()

    def announce():
        is_called.set()
        time.sleep(0.3)

    begin_with(monkeypatch, name, announce)
    return is_called


def paid_order():
    order = make_order(make_by_hand(), quantity=2)
    pay_order(order)
    return order


def fill_in_at_once(order):
    line = order.items.get()
    given = {(line.pk, 0): "a", (line.pk, 1): "b"}
    return race(PEOPLE, lambda: fill_in(order, given, actor="lin", now=db_now()))


def test_of_six_people_who_fill_in_the_same_order_one_wins_and_the_others_are_told(monkeypatch):
    linger(monkeypatch, ENTER_TEXTS)
    order = paid_order()

    outcomes = fill_in_at_once(order)

    assert outcomes.count(True) == 1
    assert sum(isinstance(outcome, FilledInMeanwhile) for outcome in outcomes) == PEOPLE - 1
    assert DeliveredKey.objects.count() == CardKey.objects.count() == 2
    assert KeyBatch.objects.count() == 1
    assert broken_invariants() == []


def test_control_without_the_lock_nobody_is_told_and_only_the_constraint_refuses(monkeypatch):
    monkeypatch.setattr(fulfilling, "lock_rows", read_unlocked)
    linger(monkeypatch, ENTER_TEXTS)

    outcomes = fill_in_at_once(paid_order())

    assert any(isinstance(outcome, IntegrityError) for outcome in outcomes)
    assert DeliveredKey.objects.count() == 2


def test_control_without_the_constraint_either_the_buyer_gets_it_several_times(monkeypatch):
    monkeypatch.setattr(fulfilling, "lock_rows", read_unlocked)
    # The order's own compare-and-set stands behind it, and rolls back whoever comes second.
    monkeypatch.setattr(fulfilling, "transition", lambda *args, **kwargs: True)
    linger(monkeypatch, ENTER_TEXTS)
    with without_constraint(DeliveredKey, "one_current_key_per_slot"):
        fill_in_at_once(paid_order())

        assert DeliveredKey.objects.count() > 2


def fill_in_while_it_is_refunded(monkeypatch):
    """The line's state, and both outcomes: the refund comes in the middle of the filling in."""
    has_looked = announced(monkeypatch, ENTER_TEXTS)
    order = paid_order()
    line = order.items.get()

    def refund():
        assert has_looked.wait(10)
        with transaction.atomic():
            lock_rows(Order.objects.filter(pk=order.pk))
            return begin_giving_back(line)

    given = {(line.pk, 0): "a", (line.pk, 1): "b"}
    outcomes = race_all(lambda: fill_in(order, given, actor="lin", now=db_now()), refund)
    return OrderItem.objects.get(pk=line.pk).status, outcomes


def test_a_refund_that_has_begun_is_not_undone_by_filling_in(monkeypatch):
    state, (filled, refunding) = fill_in_while_it_is_refunded(monkeypatch)

    assert (state, filled, refunding) == ("refunding", True, True)


def test_control_without_the_lock_the_money_goes_and_the_line_is_delivered(monkeypatch):
    monkeypatch.setattr(fulfilling, "lock_rows", read_unlocked)

    state, (filled, refunding) = fill_in_while_it_is_refunded(monkeypatch)

    assert (filled, refunding) == (True, True)
    assert state == "delivered"


def set_stock_while_the_kind_changes(monkeypatch):
    variant = make_by_hand(free=0)
    has_looked = announced(monkeypatch, "inventory.setting.Value")  # of the stock that is written then

    def change():
        assert has_looked.wait(10)
        change_kind(variant, Fulfilment.CARD_KEY)

    return race_all(lambda: set_free(variant, 5), change)


def test_stock_is_set_or_the_kind_changes_and_never_both(monkeypatch):
    set_it, changed = set_stock_while_the_kind_changes(monkeypatch)

    assert set_it is None
    assert isinstance(changed, KindIsFixed)
    assert broken_invariants() == []


def test_control_without_the_lock_keys_are_for_sale_that_nobody_has(monkeypatch):
    monkeypatch.setattr(setting, "lock_rows", read_unlocked)

    assert set_stock_while_the_kind_changes(monkeypatch) == [None, None]

    assert Stock.objects.get().total == 5
    assert any("free_keys_are_counted" in found or "total_counts" in found for found in broken_invariants())
