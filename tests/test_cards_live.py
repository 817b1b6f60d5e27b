"""Closing, refunding and accounting where it takes more than a payment: card and PayPal, over real HTTP."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime

import pytest

from cardshop.common.clock import db_now
from payments.gateways import gateway_for
from payments.gateways.base import (
    Evidence,
    Gateway,
    GatewayError,
    GatewayRefused,
    RefundEvidence,
    RefundRequest,
    RefundState,
    Trade,
)
from payments.models import PaymentAttempt
from payments.services.polling import trade_of as asked_as
from sandbox.tests.actors import RunningSandbox, free_port
from tests.factories import the_shop
from tests.live_channels import make_live, sandbox_environment, trade_of
from tests.test_channels_live import begin

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    running = RunningSandbox(tmp_path_factory.mktemp("sandbox"), port=free_port(), **sandbox_environment())
    yield running
    running.kill()


@pytest.fixture(params=["stripe_checkout", "paypal"])
def attempt(request: pytest.FixtureRequest, sandbox: RunningSandbox) -> PaymentAttempt:
    """Begun, and nobody is told of what becomes of it."""
    the_shop()
    sandbox.http.post("/_sandbox/reset")
    sandbox.turn(notice_drop=-1)
    return begin(make_live(request.param, sandbox))


@pytest.fixture
def gateway(attempt: PaymentAttempt) -> Gateway:
    return gateway_for(attempt.channel)


@pytest.fixture
def paid(attempt: PaymentAttempt, gateway: Gateway, sandbox: RunningSandbox) -> Trade:
    """Paid, with its transaction's number."""
    sandbox.pay(trade_of(attempt))
    found = gateway.query(asked_as(attempt))
    assert found is not None
    assert found.paid
    return Trade(
        out_trade_no=attempt.out_trade_no, reference=attempt.reference, provider_txn_id=found.provider_txn_id
    )


def back(trade: Trade, fen: int, *, number: str = "R1") -> RefundRequest:
    return RefundRequest(
        out_refund_no=f"{trade.out_trade_no[-20:]}{number}",
        trade=trade,
        paid_minor=990,
        amount_minor=fen,
        currency="CNY",
        reason="",
        requested_at=db_now(),
    )


def refunded(sandbox: RunningSandbox, attempt: PaymentAttempt) -> object:
    return sandbox.booked(trade_of(attempt))["refunded_fen"]


def test_what_is_closed_takes_no_money_any_more(
    attempt: PaymentAttempt, gateway: Gateway, sandbox: RunningSandbox
):
    trade = replace(asked_as(attempt), wanted=False)

    assert gateway.close(trade)
    assert gateway.close(trade)

    sandbox.pay(trade_of(attempt))
    found = gateway.query(trade)
    assert found is not None
    assert not found.paid
    assert sandbox.booked(trade_of(attempt))["paid_at"] is None


def test_what_was_agreed_to_is_taken_only_while_it_is_wanted(
    attempt: PaymentAttempt, gateway: Gateway, sandbox: RunningSandbox
):
    sandbox.pay(trade_of(attempt))
    trade = asked_as(attempt)

    assert trade.wanted
    before = gateway.query(replace(trade, wanted=False))
    after = gateway.query(trade)

    assert before is not None
    assert before.paid is (attempt.channel.driver != "paypal")
    assert after is not None
    assert after.paid


def test_what_is_paid_cannot_be_closed(paid: Trade, gateway: Gateway):
    with pytest.raises(GatewayRefused):
        gateway.close(paid)


def test_a_refund_asked_for_many_times_at_once_is_one_refund(
    paid: Trade, attempt: PaymentAttempt, gateway: Gateway, sandbox: RunningSandbox
):
    wanted = back(paid, 300)
    assert gateway.ask_refund(wanted) is None

    with ThreadPoolExecutor(8) as threads:
        said = set(threads.map(lambda _: gateway.refund(wanted), range(8)))

    assert said == {RefundState.DONE}
    assert gateway.refund(wanted) == gateway.ask_refund(wanted) == RefundState.DONE
    assert refunded(sandbox, attempt) == 300


def test_money_goes_back_in_parts_and_never_more_than_came(
    paid: Trade, attempt: PaymentAttempt, gateway: Gateway, sandbox: RunningSandbox
):
    gateway.refund(back(paid, 300))
    with pytest.raises(GatewayRefused):
        gateway.refund(back(paid, 691, number="R2"))
    gateway.refund(back(paid, 690, number="R3"))
    with pytest.raises(GatewayRefused):
        gateway.refund(back(paid, 1, number="R4"))

    assert refunded(sandbox, attempt) == 990
    found = gateway.query(asked_as(attempt))
    assert found is not None
    assert (found.paid, found.amount_minor) == (True, 990)


@pytest.mark.parametrize("knob", ["api_error", "api_lost"])
def test_a_refund_of_which_nobody_knows_is_found_out_and_made_once(
    paid: Trade, attempt: PaymentAttempt, gateway: Gateway, sandbox: RunningSandbox, knob: str
):
    wanted = back(paid, 300)
    sandbox.turn(**{knob: -1})
    with pytest.raises(GatewayError):
        gateway.refund(wanted)
    sandbox.turn(**{knob: 0})

    before = gateway.ask_refund(wanted)
    assert gateway.refund(wanted) == RefundState.DONE

    assert before in (None, RefundState.DONE)
    assert refunded(sandbox, attempt) == 300


def test_the_days_statement_has_what_came_and_what_went_back(
    paid: Trade, attempt: PaymentAttempt, gateway: Gateway, sandbox: RunningSandbox
):
    wanted = back(paid, 300)
    gateway.refund(wanted)
    moment = datetime.fromisoformat(str(sandbox.booked(trade_of(attempt))["paid_at"]))

    rows = [row for row in gateway.statement(moment.date()) if row.provider_txn_id == paid.provider_txn_id]

    assert rows == [
        Evidence(
            out_trade_no=paid.out_trade_no,
            provider_txn_id=paid.provider_txn_id,
            paid=True,
            amount_minor=990,
            currency="CNY",
            gone_back=True,
        ),
        RefundEvidence(
            out_refund_no=wanted.out_refund_no,
            provider_txn_id=paid.provider_txn_id,
            amount_minor=300,
            currency="CNY",
        ),
    ]
    earlier = gateway.statement(moment.date().replace(year=moment.year - 1))
    assert [row for row in earlier if row.provider_txn_id == paid.provider_txn_id] == []
