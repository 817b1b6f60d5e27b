"""A top-up that ten workers credit, and one that is refunded while its account buys."""

import secrets
import time
from functools import partial
from typing import Any

import pytest
from django.db import models

from cardshop.common.clock import db_now
from orders.models import Order
from payments.models import Balance, BalanceEntry, Receipt, Refund
from payments.services import topping_up
from payments.services.refunds import request_refund
from payments.services.topping_up import AlreadySpent, ask_for_top_up, credit_accounts
from payments.tests.refunder import refunding_channel
from resellers.errors import BalanceTooLow
from resellers.models import Reseller, ResellerOrder
from resellers.orders import asking
from resellers.orders.asking import Asked
from resellers.tests.calling import make_reseller
from tests.balances import left_on
from tests.factories import make_attempt, make_variant, paid_evidence, settle_evidence
from tests.race.racing import broken_invariants, race, race_all, read_unlocked, without_constraint

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("refunder")]
AMOUNT = 9900
PRICE = 990


def paid_top_up(reseller: Reseller) -> tuple[Order, Receipt]:
    """The money is here, and not on the account yet."""
    top_up = ask_for_top_up(reseller.balance, amount_minor=AMOUNT, key="k", actor="boss", now=db_now())
    attempt = make_attempt(top_up.order, refunding_channel())
    receipt = settle_evidence(attempt.channel, paid_evidence(attempt))
    assert receipt is not None
    return top_up.order, receipt


def ten_workers_credit_it() -> Balance:
    reseller = make_reseller()
    order, _receipt = paid_top_up(reseller)
    race(10, partial(credit_accounts, [order.pk], db_now()))
    return reseller.balance


def test_credited_by_ten_workers_it_is_on_the_account_once():
    assert left_on(ten_workers_credit_it()) == AMOUNT
    assert broken_invariants() == []


def test_control_without_lock_and_constraint_it_is_credited_several_times(monkeypatch):
    def look_and_wait(*rows: models.QuerySet[Any]) -> list[list[Any]]:
        seen = read_unlocked(*rows)
        time.sleep(0.2)
        return seen

    monkeypatch.setattr(topping_up, "lock_rows", look_and_wait)
    with without_constraint(BalanceEntry, "entry_once_per_reference"):
        assert left_on(ten_workers_credit_it()) > AMOUNT


def ask_ten_refunds_of_a_tenth_and_place_ten_orders() -> tuple[Reseller, list[object]]:
    """Together they want twice what there is."""
    reseller, variant = make_reseller(), make_variant(keys=20, price_minor=PRICE)
    order, receipt = paid_top_up(reseller)
    credit_accounts([order.pk], db_now())

    def buy() -> object:
        fresh = Reseller.objects.select_related("balance", "shop").get(pk=reseller.pk)
        lines = [{"variant": variant.code, "quantity": 1}]
        one = Asked(reseller=fresh, key=secrets.token_hex(8), digest="0", lines=lines)
        (outcome,) = asking._order_of_one_shop([one], db_now())
        return outcome

    def go_back() -> object:
        mine = Receipt.objects.select_related("channel__shop").get(pk=receipt.pk)
        return request_refund(mine, amount_minor=PRICE, reason="x", actor="lin", now=db_now())

    return reseller, race_all(*[buy] * 10, *[go_back] * 10)


def test_refunds_and_orders_never_spend_the_same_money():
    reseller, outcomes = ask_ten_refunds_of_a_tenth_and_place_ten_orders()

    kinds = [type(outcome) for outcome in outcomes]
    assert set(kinds) <= {ResellerOrder, Refund, BalanceTooLow, AlreadySpent}
    assert kinds.count(ResellerOrder) + kinds.count(Refund) == 10
    assert left_on(reseller.balance) == 0
    assert broken_invariants() == []


def test_control_without_the_accounts_lock_the_same_money_goes_twice(monkeypatch):
    """A refund looks at the account, and an order is faster."""

    def look_and_wait(receipt: Receipt) -> Balance | None:
        account = Balance.objects.filter(top_ups__order__payment__attempts__receipts=receipt).first()
        time.sleep(0.5)
        return account

    monkeypatch.setattr("payments.services.refunds.lock_account_of", look_and_wait)
    with (
        without_constraint(Balance, "balance_within_credit"),
        without_constraint(BalanceEntry, "entry_within_credit"),
    ):
        reseller, _outcomes = ask_ten_refunds_of_a_tenth_and_place_ten_orders()

        assert left_on(reseller.balance) < 0
