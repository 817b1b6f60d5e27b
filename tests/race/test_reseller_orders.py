"""Fifty orders on an account that pays for twenty, one order a hundred times, and all against buyers."""

import secrets
import time
from functools import partial
from itertools import count
from typing import Any

import pytest
from django.db import OperationalError, models

from cardshop.common.clock import db_now
from inventory.errors import OutOfStock
from inventory.models import Stock, Variant
from orders.models import DeliveredKey, Order
from payments.ledger import entries
from payments.ledger.entries import credit, set_credit
from payments.models import Balance, BalanceEntry
from resellers.errors import BalanceTooLow
from resellers.models import Reseller, ResellerOrder
from resellers.orders import asking, filling
from resellers.orders.asking import Asked, fill_accepted, order_later, order_now
from resellers.tests.calling import make_reseller
from tests.factories import counters, make_order, make_variant
from tests.race.racing import (
    broken_invariants,
    linger,
    race,
    race_all,
    read_unlocked,
    without_constraint,
)

pytestmark = pytest.mark.django_db(transaction=True)

PRICE = 990


def with_money_for(orders: int, on_credit: int = 0) -> Reseller:
    reseller = make_reseller()
    if orders:
        credit(reseller.balance, amount_minor=orders * PRICE, reason="paid in", actor="boss", now=db_now())
    set_credit(reseller.balance, on_credit * PRICE)
    return Reseller.objects.select_related("balance", "shop").get(pk=reseller.pk)


def asked(reseller: Reseller, variant: Variant, key: str = "") -> Asked:
    lines = [{"variant": variant.code, "quantity": 1}]
    # As every request reads it for itself.
    fresh = Reseller.objects.select_related("balance", "shop").get(pk=reseller.pk)
    return Asked(reseller=fresh, key=key or secrets.token_hex(8), digest="the same", lines=lines)


def order_alone(one: Asked) -> object:
    """As if every order came to a process of its own: in one, they are filled together."""
    (outcome,) = asking._order_of_one_shop([one], db_now())
    return outcome


def kinds(outcomes: list[object]) -> dict[str, int]:
    names = [type(outcome).__name__ for outcome in outcomes]
    return {name: names.count(name) for name in set(names)}


def left_on(reseller: Reseller) -> int:
    return Balance.objects.get(pk=reseller.balance_id).amount_minor


def fifty_orders_from_money_for_twenty() -> tuple[Reseller, Variant, list[object]]:
    reseller, variant = with_money_for(20), make_variant(keys=60)
    return reseller, variant, race(50, lambda: order_alone(asked(reseller, variant)))


def test_of_fifty_orders_twenty_are_paid_and_the_account_is_at_nothing():
    reseller, variant, outcomes = fifty_orders_from_money_for_twenty()

    assert kinds(outcomes) == {"ResellerOrder": 20, "BalanceTooLow": 30}
    assert left_on(reseller) == 0
    assert (Order.objects.count(), counters(variant)[2]) == (20, 20)
    assert DeliveredKey.objects.values("card_key").distinct().count() == 20
    assert broken_invariants() == []


def test_control_without_locks_and_constraints_more_is_bought_than_was_paid_in(monkeypatch):
    monkeypatch.setattr(filling, "lock_rows", read_unlocked)
    linger(monkeypatch, "resellers.orders.filling.sell_at_once", 0.1)
    with (
        without_constraint(Balance, "balance_within_credit"),
        without_constraint(BalanceEntry, "entry_within_credit"),
    ):
        reseller, _variant, _outcomes = fifty_orders_from_money_for_twenty()

        assert left_on(reseller) < 0
        assert broken_invariants() != []


def test_with_credit_twenty_are_paid_and_the_account_is_at_the_end_of_its_line():
    reseller, variant = with_money_for(8, on_credit=12), make_variant(keys=60)

    outcomes = race(50, lambda: order_alone(asked(reseller, variant)))

    assert kinds(outcomes) == {"ResellerOrder": 20, "BalanceTooLow": 30}
    assert left_on(reseller) == -12 * PRICE
    assert (Order.objects.count(), counters(variant)[2]) == (20, 20)
    assert broken_invariants() == []


def fifty_orders_while_the_line_is_cut(*to: int) -> tuple[Reseller, list[object]]:
    reseller, variant = with_money_for(0, on_credit=50), make_variant(keys=60)
    orders = [lambda: order_alone(asked(reseller, variant))] * 50
    cuts = [partial(set_credit, reseller.balance, n * PRICE) for n in to]
    return reseller, race_all(*orders, *cuts)


def test_a_line_that_is_cut_while_orders_come_is_never_below_what_is_owed():
    reseller, outcomes = fifty_orders_while_the_line_is_cut(40, 30, 20, 10, 0)

    account = Balance.objects.get(pk=reseller.balance_id)
    assert kinds(outcomes).keys() <= {"ResellerOrder", "BalanceTooLow", "CreditInUse", "int"}
    assert -account.credit_minor <= account.amount_minor == -PRICE * Order.objects.count()
    assert broken_invariants() == []


def test_control_without_locks_and_constraints_a_line_is_cut_below_what_is_owed(monkeypatch):
    def look_and_wait(*rows: models.QuerySet[Any]) -> list[list[Any]]:
        seen = read_unlocked(*rows)
        time.sleep(0.2)
        return seen

    monkeypatch.setattr(entries, "lock_rows", look_and_wait)
    with (
        without_constraint(Balance, "balance_within_credit"),
        without_constraint(BalanceEntry, "entry_within_credit"),
    ):
        reseller, _outcomes = fifty_orders_while_the_line_is_cut(0)

        account = Balance.objects.get(pk=reseller.balance_id)
        assert account.amount_minor < -account.credit_minor


def one_order_a_hundred_times() -> tuple[Reseller, list[object]]:
    reseller, variant = with_money_for(100), make_variant(keys=100)
    return reseller, race(100, lambda: order_alone(asked(reseller, variant, key="the one and only")))


def test_sent_a_hundred_times_an_order_is_one_order_and_one_charge():
    reseller, outcomes = one_order_a_hundred_times()

    assert {outcome.number for outcome in outcomes} == {Order.objects.get().number}
    assert left_on(reseller) == 99 * PRICE
    assert broken_invariants() == []


def test_control_without_its_key_it_is_charged_several_times(monkeypatch):
    with without_constraint(ResellerOrder, "reseller_order_once_per_key"):
        reseller, _outcomes = one_order_a_hundred_times()

        assert left_on(reseller) < 99 * PRICE


def test_in_one_process_they_go_together_and_the_account_is_at_nothing_all_the_same():
    reseller, variant = with_money_for(20), make_variant(keys=60)
    twice = [asked(reseller, variant, key=f"key number {n % 25}") for n in range(50)]

    outcomes = race_all(*[partial(order_now, one, now=db_now()) for one in twice])

    numbers = {outcome.number for outcome in outcomes if isinstance(outcome, ResellerOrder)}
    assert len(numbers) == Order.objects.count() == ResellerOrder.objects.count() == 20
    assert {type(outcome) for outcome in outcomes} == {ResellerOrder, BalanceTooLow}
    assert left_on(reseller) == 0
    assert broken_invariants() == []


def test_who_waits_together_for_the_database_waits_once(monkeypatch):
    """Whatever is odd about one alone is tried again alone."""
    reseller, variant = with_money_for(3), make_variant(keys=3)
    three = [asked(reseller, variant) for _ in range(3)]
    tried = []

    def fail(error: type[Exception]) -> list[object]:
        def fill_none(rows: list[ResellerOrder], **_said: object) -> None:
            tried.append(len(rows))
            raise error

        monkeypatch.setattr(asking, "fill", fill_none)
        return list(asking._order_of_one_shop(three, db_now()))

    assert kinds(fail(OperationalError)) == {"OperationalError": 3}
    assert tried == [3]
    assert kinds(fail(RuntimeError)) == {"RuntimeError": 3}
    assert tried == [3, 3, 1, 1, 1]


def test_accepted_a_hundred_times_and_filled_by_ten_workers_it_is_one_order():
    reseller, variant = with_money_for(3), make_variant(keys=100)
    accept = partial(order_later, now=db_now())
    race(30, lambda: accept(asked(reseller, variant, key="the one and only")))
    accept(asked(reseller, variant, key="another order"))
    ids = list(ResellerOrder.objects.values_list("pk", flat=True))

    assert race(10, lambda: fill_accepted(ids, db_now())) == [None] * 10

    assert (len(ids), left_on(reseller), Order.objects.count()) == (2, PRICE, 2)
    assert broken_invariants() == []


def test_resellers_and_buyers_together_get_what_there_is():
    reseller, variant = with_money_for(50), make_variant(keys=20)
    Stock.objects.filter(variant=variant).update(total=15, released=15)
    Stock.objects.create(
        shop=variant.shop, variant=variant, pool=f"reseller-{reseller.pk}", total=5, released=5
    )
    turns = count()

    def one_or_the_other() -> object:
        if next(turns) % 2:
            return make_order(variant)
        return order_alone(asked(reseller, variant))

    outcomes = race_all(*[one_or_the_other] * 50)

    orders = [outcome for outcome in outcomes if isinstance(outcome, Order | ResellerOrder)]
    assert len(orders) == 20
    assert {type(outcome) for outcome in outcomes if outcome not in orders} == {OutOfStock}
    assert broken_invariants() == []


def test_of_several_accounts_each_pays_for_itself():
    variant = make_variant(keys=40)
    resellers = [with_money_for(5)]
    other = make_reseller("Other")
    credit(other.balance, amount_minor=3 * PRICE, reason="paid in", actor="boss", now=db_now())
    resellers.append(other)
    for reseller in resellers * 6:
        order_later(asked(reseller, variant), now=db_now())
    ids = list(ResellerOrder.objects.values_list("pk", flat=True))

    asking.fill_accepted(ids, db_now())

    assert [left_on(reseller) for reseller in resellers] == [0, 0]
    assert [ResellerOrder.objects.filter(reseller=r, status="placed").count() for r in resellers] == [5, 3]
    assert {one.problem["code"] for one in ResellerOrder.objects.filter(status="refused")} == {
        BalanceTooLow.code
    }
    assert broken_invariants() == []
