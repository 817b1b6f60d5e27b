"""Money that is refunded of a top-up leaves the account first, and comes back should that come to nothing."""

import pytest
from django.utils.timezone import localdate

from cardshop.common.clock import db_now
from orders.models import Order
from payments.gateways.base import GatewayRefused
from payments.ledger.entries import correct, open_account, set_credit
from payments.ledger.statements import Period, statement_rows
from payments.models import Balance, BalanceEntry, Receipt, Refund
from payments.services.refunds import NotRefundable, approve_refund, decline_refund, request_refund
from payments.services.topping_up import AlreadySpent, ask_for_top_up
from payments.tasks import credit_accounts as credit_accounts_task
from payments.tasks import send_refunds
from payments.tests.refunder import Refunder, refunding_channel
from tests.balances import left_on
from tests.factories import make_attempt, paid_evidence, settle_evidence, the_shop
from tests.race.racing import broken_invariants

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("refunder")]
AMOUNT = 50_000


@pytest.fixture(autouse=True)
def _books_balance():
    yield
    assert broken_invariants() == []


def make_account() -> Balance:
    return open_account(
        shop_id=the_shop().pk, holder="Partner", contact_email="p@example.org", currency="CNY", now=db_now()
    )


def topped_up(account: Balance, *, came_minor: int = AMOUNT) -> tuple[Order, Receipt]:
    """An order that is paid and credited, and its money."""
    top_up = ask_for_top_up(account, amount_minor=AMOUNT, key="the-key", actor="boss", now=db_now())
    attempt = make_attempt(top_up.order, refunding_channel())
    receipt = settle_evidence(attempt.channel, paid_evidence(attempt, amount_minor=came_minor))
    credit_accounts_task()
    return Order.objects.get(pk=top_up.order_id), Receipt.objects.get(pk=receipt.pk)


def refund(receipt: Receipt, amount_minor: int = AMOUNT) -> Refund:
    return request_refund(receipt, amount_minor=amount_minor, reason="as agreed", actor="lin", now=db_now())


def take(account: Balance, amount_minor: int) -> None:
    correct(account, amount_minor=-amount_minor, reason="spent", actor="boss", now=db_now())


def state_of(row):
    return type(row).objects.get(pk=row.pk).status


def test_all_of_it_goes_back_and_the_order_is_refunded(refunder: Refunder):
    account = make_account()
    order, receipt = topped_up(account)
    assert (state_of(order), left_on(account)) == ("delivered", AMOUNT)

    asked = refund(receipt)
    assert left_on(account) == 0  # before the provider hears of it
    send_refunds()

    assert (state_of(asked), state_of(order)) == ("done", "refunded")
    assert refunder.refunds == {asked.out_refund_no: AMOUNT}
    entry = BalanceEntry.objects.latest("pk")
    assert (entry.kind, entry.amount_minor, entry.reference) == ("paid_out", -AMOUNT, asked.out_refund_no)


def test_parts_of_it_may_go_back_until_nothing_is_left():
    account = make_account()
    order, receipt = topped_up(account)

    refund(receipt, 20_000)
    send_refunds()
    assert (state_of(order), left_on(account)) == ("delivered", 30_000)
    refund(receipt, 30_000)
    send_refunds()

    assert (state_of(order), left_on(account)) == ("refunded", 0)


def test_what_was_spent_is_not_refunded_and_credit_is_not_paid_out(refunder: Refunder):
    account = make_account()
    set_credit(account, 100_000)
    order, receipt = topped_up(account)
    take(account, 20_001)

    with pytest.raises(AlreadySpent, match=r"¥299\.99"):
        refund(receipt, 30_000)

    assert (left_on(account), Refund.objects.count(), refunder.asked) == (29_999, 0, [])
    assert Receipt.objects.get().refunded_minor == 0
    refund(receipt, 29_999)
    send_refunds()
    assert (left_on(account), state_of(order)) == (0, "delivered")


def test_what_the_provider_refuses_is_on_the_account_again(refunder: Refunder):
    account = make_account()
    order, receipt = topped_up(account)
    refunder.answers = [GatewayRefused("no")]

    refused = refund(receipt)
    send_refunds()

    assert (state_of(refused), state_of(order), left_on(account)) == ("failed", "delivered", AMOUNT)
    again = refund(receipt)
    send_refunds()
    assert (state_of(again), left_on(account)) == ("done", 0)


def test_what_a_second_person_declines_is_on_the_account_again_and_what_they_approve_is_not():
    shop = the_shop()
    shop.refunds_need_two = True
    shop.save()
    account = make_account()
    order, receipt = topped_up(account)

    declined = refund(receipt)
    assert left_on(account) == 0
    decline_refund(declined, actor="boss", now=db_now())
    assert left_on(account) == AMOUNT
    approved = refund(receipt)
    approve_refund(approved, actor="boss", now=db_now())
    send_refunds()

    assert (state_of(approved), state_of(order), left_on(account)) == ("done", "refunded", 0)


def test_what_came_on_top_never_was_on_the_account():
    account = make_account()
    order, receipt = topped_up(account, came_minor=AMOUNT + 700)
    assert left_on(account) == AMOUNT

    refund(receipt, 700)
    send_refunds()
    assert left_on(account) == AMOUNT
    refund(receipt, 1000)
    send_refunds()

    assert (left_on(account), state_of(order)) == (AMOUNT - 1000, "delivered")


def test_every_row_of_it_in_a_statement_names_its_order(refunder: Refunder):
    account = make_account()
    order, receipt = topped_up(account)
    refunder.answers = [GatewayRefused("no")]
    for amount_minor in (20_000, 30_000):
        refund(receipt, amount_minor)
        send_refunds()
    today = localdate()

    _opening, *rows, _closing = statement_rows(account, Period(today, today))

    assert [(row[1], row[2], row[5]) for row in rows] == [
        ("credit", order.number, "500.00"),
        ("paid_out", order.number, "-200.00"),
        ("correction", order.number, "200.00"),
        ("paid_out", order.number, "-300.00"),
    ]


def test_before_it_is_credited_nothing_is_refunded():
    account = make_account()
    top_up = ask_for_top_up(account, amount_minor=AMOUNT, key="the-key", actor="boss", now=db_now())
    attempt = make_attempt(top_up.order, refunding_channel())
    receipt = settle_evidence(attempt.channel, paid_evidence(attempt))

    with pytest.raises(NotRefundable):
        refund(receipt)
    credit_accounts_task()

    assert left_on(account) == AMOUNT
