"""Money back and trades closed, at every provider that can, by the shop's own services over real HTTP."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

import httpx
import pytest

from cardshop.common.clock import db_now
from orders.models import Order
from payments.gateways import gateway_for
from payments.gateways.base import Ability, Evidence, Gateway, RefundEvidence, RefundRequest
from payments.ledgers import ledger_differences
from payments.models import PaymentAttempt, PaymentChannel, Receipt, Refund, WebhookEvent
from payments.services.closing import begin_closing, finish_closing
from payments.services.evidence import GONE_BACK
from payments.services.polling import trade_of as asked_as
from payments.services.reconciling import compare_day
from payments.services.refund_sending import UNKNOWN, follow_refunds
from payments.services.refunds import NotRefundable, request_refund
from payments.tasks import apply_notices, send_refunds
from sandbox.tests.actors import RunningSandbox, wait_until
from tests.factories import settle_evidence
from tests.live_channels import LIVE, USDT_KEYS, buyer_pays, make_live, trade_of
from tests.test_channels_live import begin, sandbox, settle, site

pytestmark = [pytest.mark.django_db(transaction=True)]
__all__ = ["sandbox", "site"]  # fixtures


@pytest.fixture(params=LIVE)
def channel(request: pytest.FixtureRequest, sandbox: RunningSandbox, site: None) -> PaymentChannel:
    return make_live(request.param, sandbox)


def can(channel: PaymentChannel, ability: Ability) -> bool:
    return ability in gateway_for(channel).can


def delivered(channel: PaymentChannel, sandbox: RunningSandbox) -> tuple[PaymentAttempt, Receipt]:
    attempt = begin(channel)
    notices = buyer_pays(sandbox, attempt)
    wait_until(lambda: WebhookEvent.objects.count() == notices)
    apply_notices()
    assert settle(attempt).status == "delivered"
    return attempt, Receipt.objects.get()


def ask(receipt: Receipt, amount_minor: int, *, with_line: bool = False) -> Refund:
    attempt = receipt.attempt
    assert attempt is not None
    return request_refund(
        receipt,
        amount_minor=amount_minor,
        item=attempt.payment.order.items.get() if with_line else None,
        reason="as agreed",
        actor="lin",
        now=db_now(),
    )


def follow() -> None:
    """As if the time to look had come, as often as a refund may be under way."""
    for _ in range(3):
        Refund.objects.filter(status="sent", attention="").update(next_query_at=db_now())
        follow_refunds(clock=db_now)


def given_back(sandbox: RunningSandbox, attempt: PaymentAttempt) -> list[int]:
    trade = trade_of(attempt)
    refunds = sandbox.http.get("/_sandbox/refunds").json()
    return sorted(refund["money_fen"] for refund in refunds if refund["trade_no"] == trade)


def test_parts_and_then_the_rest_go_back(channel: PaymentChannel, sandbox: RunningSandbox):
    attempt, receipt = delivered(channel, sandbox)
    if not can(channel, Ability.REFUND):
        with pytest.raises(NotRefundable):
            ask(receipt, 300)
        return

    ask(receipt, 300)
    send_refunds()
    follow()
    ask(receipt, 690, with_line=True)
    send_refunds()
    follow()

    assert given_back(sandbox, attempt) == [300, 690]
    assert sorted(Refund.objects.values_list("status", flat=True)) == ["done", "done"]
    assert Order.objects.get().status == "refunded"
    differences = [row for row in ledger_differences(settled=True) if trade_of(attempt) in row]
    assert differences == []


def test_money_that_nobody_here_asked_for_goes_back(channel: PaymentChannel, sandbox: RunningSandbox):
    if not can(channel, Ability.REFUND):
        return
    attempt = begin(channel)
    buyer_pays(sandbox, attempt)
    said = gateway_for(channel).query(asked_as(attempt))
    assert said is not None
    receipt = settle_evidence(channel, replace(said, out_trade_no="elsewhere"))
    assert receipt is not None
    receipt.refresh_from_db()

    request_refund(receipt, amount_minor=990, reason="not ours", actor="lin", now=db_now())
    send_refunds()
    follow()

    assert given_back(sandbox, attempt) == [990]
    assert Refund.objects.get().status == "done"


def test_a_refund_whose_answer_is_lost_is_made_once(channel: PaymentChannel, sandbox: RunningSandbox):
    if not can(channel, Ability.REFUND):
        return
    attempt, receipt = delivered(channel, sandbox)
    sandbox.turn(api_lost=1)

    ask(receipt, 990, with_line=True)
    send_refunds()
    follow()

    assert given_back(sandbox, attempt) == [990]
    refund = Refund.objects.get()
    if can(channel, Ability.ASK_REFUND) or can(channel, Ability.REPEAT_REFUND):
        assert refund.status == "done"
    else:
        assert (refund.status, refund.attention) == ("sent", UNKNOWN)


def test_an_order_that_ends_is_closed_where_that_can_be_done(
    channel: PaymentChannel, sandbox: RunningSandbox
):
    attempt = begin(channel)
    httpx.get(f"{sandbox.base_url}/pay/{trade_of(attempt)}", trust_env=False)  # the buyer looks at it
    order, now = attempt.payment.order, db_now()

    begin_closing(order, "cancelled", reason="cancelled by the buyer", actor="buyer", now=now)
    assert finish_closing([order.pk], now) == {}

    attempt.refresh_from_db()
    assert Order.objects.get().status == "cancelled"
    captured = sandbox.pay(trade_of(attempt)).json()["captured"]
    if attempt.status == "closed":
        assert can(channel, Ability.CLOSE)
        assert captured is False
    else:
        assert attempt.next_query_at is not None
    if captured:
        wait_until(WebhookEvent.objects.exists)  # what comes in later would outlive the test


def test_an_order_that_is_paid_in_the_last_moment_is_not_closed(
    channel: PaymentChannel, sandbox: RunningSandbox
):
    attempt = begin(channel)
    buyer_pays(sandbox, attempt)
    order, now = attempt.payment.order, db_now()

    begin_closing(order, "expired", reason="not paid in time", actor="system", now=now)
    finish_closing([order.pk], now)

    assert settle(attempt).status == "delivered"


# Where the provider has a statement, or a list; what cannot be refunded has gone back nowhere.
@pytest.mark.parametrize("channel", sorted(LIVE.keys() - USDT_KEYS.keys()), indirect=True)
@pytest.mark.parametrize("fen", [990, 300])
def test_what_was_refunded_by_hand_is_not_delivered_for_when_a_statement_tells_of_it(
    channel: PaymentChannel, sandbox: RunningSandbox, fen: int, monkeypatch: pytest.MonkeyPatch
):
    attempt = begin(channel)
    sandbox.turn(notice_drop=-1)
    buyer_pays(sandbox, attempt)
    by_hand(attempt, fen)

    read_today(attempt, monkeypatch)

    assert settle(attempt).status == "pending"
    assert attempt.receipts.get().attention == GONE_BACK


@pytest.mark.parametrize("channel", ["alipay_qr", "wechat", "stripe_checkout", "paypal"], indirect=True)
def test_a_refund_of_a_later_day_is_asked_about(
    channel: PaymentChannel, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
):
    attempt = begin(channel)
    sandbox.turn(notice_drop=-1)
    buyer_pays(sandbox, attempt)
    by_hand(attempt, 990)

    read_today(attempt, monkeypatch, is_old=True)

    assert settle(attempt).status == "pending"
    assert attempt.receipts.get().attention == GONE_BACK


@pytest.mark.parametrize("channel", ["alipay_qr", "wechat", "stripe_checkout", "paypal"], indirect=True)
def test_what_only_a_statement_tells_of_is_delivered_for(
    channel: PaymentChannel, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
):
    attempt = begin(channel)
    sandbox.turn(notice_drop=-1)
    buyer_pays(sandbox, attempt)

    read_today(attempt, monkeypatch)

    assert settle(attempt).status == "delivered"


def by_hand(attempt: PaymentAttempt, fen: int) -> None:
    """As the merchant refunds in the provider's own pages."""
    gateway = gateway_for(attempt.channel)
    found = gateway.query(asked_as(attempt))
    assert found is not None
    gateway.refund(
        RefundRequest(
            out_refund_no=f"{attempt.out_trade_no[-20:]}hand",
            trade=replace(asked_as(attempt), provider_txn_id=found.provider_txn_id),
            paid_minor=990,
            amount_minor=fen,
            currency="CNY",
            reason="",
            requested_at=db_now(),
        )
    )


def read_today(attempt: PaymentAttempt, monkeypatch: pytest.MonkeyPatch, *, is_old: bool = False) -> None:
    """`is_old`: as it was written before anything went back. Yesterday's may not be ready, and is empty."""
    is_in_beijing = attempt.channel.method in ("alipay", "wxpay")
    today = (db_now() + timedelta(hours=8 * is_in_beijing)).date()
    driver = type(gateway_for(attempt.channel)._gateway)  # type: ignore[attr-defined]
    rows_of = driver.statement

    def statement(gateway: Gateway, day: date) -> Iterator[Evidence | RefundEvidence]:
        for row in rows_of(gateway, day) if day == today else ():
            if not is_old:
                yield row
            elif isinstance(row, Evidence):
                yield replace(row, gone_back=False)

    monkeypatch.setattr(driver, "statement", statement)
    assert not Receipt.objects.exists()
    compare_day(attempt.channel, today, now=db_now())
