"""Twenty orders against a balance that covers seven of them, and one order that is paid twenty times."""

from functools import partial

import pytest

from cardshop.common.clock import db_now
from orders.models import Order
from payments.gateways.balance import BalanceGateway
from payments.gateways.base import GatewayRefused, PayPage, PayRequest
from payments.ledger import entries
from payments.models import Balance, BalanceEntry, PaymentAttempt
from payments.tasks import poll_attempts, settle_receipts
from tests.balances import balance_channel, left_on, make_balance
from tests.factories import make_attempt, make_order, make_variant
from tests.race.racing import broken_invariants, linger, race, race_all, read_unlocked, without_constraint

pytestmark = pytest.mark.django_db(transaction=True)

PRICE = 990


@pytest.fixture(autouse=True)
def _everybody_has_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    linger(monkeypatch, "payments.ledger.entries.insert_new", 0.02)


def take(attempt: PaymentAttempt, code: str) -> PayPage:
    """The driver itself: what stands before it would let fewer through at one time."""
    wanted = PayRequest(
        out_trade_no=attempt.out_trade_no,
        amount_minor=attempt.amount_minor,
        currency=attempt.currency,
        subject=attempt.payment.order.number,
        notify_url="",
        return_url="http://127.0.0.1:9/return",
        client_ip="127.0.0.1",
        on_phone=False,
        payer=code,
        started_at=attempt.started_at,
        expires_at=attempt.payment.order.reserved_until,
    )
    return BalanceGateway(shop_id=attempt.channel.shop_id, clock=db_now).create(wanted)


def pay_twenty_orders_from_money_for_seven() -> tuple[Balance, list[object]]:
    balance, code = make_balance(7 * PRICE + 500)
    channel, variant = balance_channel(), make_variant(keys=20)
    attempts = [make_attempt(make_order(variant), channel) for _ in range(20)]
    return balance, race_all(*[partial(take, attempt, code) for attempt in attempts])


def test_exactly_seven_are_paid():
    balance, outcomes = pay_twenty_orders_from_money_for_seven()

    kinds = [type(outcome) for outcome in outcomes]
    assert (kinds.count(PayPage), kinds.count(GatewayRefused)) == (7, 13)
    assert left_on(balance) == 500
    poll_attempts()
    settle_receipts()
    assert Order.objects.filter(status="paid").count() == 7
    assert broken_invariants() == []


def test_control_without_lock_and_constraint_more_is_spent_than_there_was(monkeypatch):
    monkeypatch.setattr(entries, "lock_rows", read_unlocked)
    with without_constraint(Balance, "balance_within_credit"):
        balance, outcomes = pay_twenty_orders_from_money_for_seven()

        assert [type(outcome) for outcome in outcomes].count(PayPage) > 7
        assert left_on(balance) < 0
        assert "payments.balance_history_is_unbroken" in str(broken_invariants())


def pay_one_order_twenty_times() -> Balance:
    balance, code = make_balance(20 * PRICE)
    attempt = make_attempt(make_order(make_variant(keys=1)), balance_channel())
    assert {type(outcome) for outcome in race(20, partial(take, attempt, code))} == {PayPage}
    return balance


def test_paid_twenty_times_one_order_is_debited_once():
    assert left_on(pay_one_order_twenty_times()) == 19 * PRICE
    assert broken_invariants() == []


def test_control_without_lock_and_constraint_it_is_debited_several_times(monkeypatch):
    monkeypatch.setattr(entries, "lock_rows", read_unlocked)
    with without_constraint(BalanceEntry, "entry_once_per_reference"):
        assert left_on(pay_one_order_twenty_times()) < 19 * PRICE
