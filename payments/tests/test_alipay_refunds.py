"""Alipay: closing, refunding and asking about refunds, against a scripted platform with real signatures."""

import json
from dataclasses import replace
from urllib.parse import parse_qsl

import httpx
import pytest
from django.utils.translation import override

from payments.gateways import rsa
from payments.gateways.alipay import DRIVERS
from payments.gateways.base import BadNotice, GatewayError, GatewayRefused, RefundState, Trade
from payments.tests.test_alipay import PAID, STRANGERS, THEIRS, gateway, notice, paid, says
from payments.tests.wanted import A1, REFUND
from tests.factories import NOON

CLOSE, REFUNDED = "alipay_trade_close_response", "alipay_trade_refund_response"
FOUND = "alipay_trade_fastpay_refund_query_response"
MADE = {"code": "10000", "out_trade_no": "A1", "trade_no": "T1", "fund_change": "Y", "refund_fee": "5.00"}
DONE = {
    "code": "10000",
    "out_trade_no": "A1",
    "trade_no": "T1",
    "out_request_no": "R" * 32,
    "refund_amount": "0.90",
    "refund_status": "REFUND_SUCCESS",
}


def no(sub_code):
    return {"code": "40004", "msg": "Business Failed", "sub_code": sub_code, "sub_msg": "不"}


def in_turn(*nodes):
    """The platform gives these answers one after the other, each signed."""
    left = iter(nodes)

    def answer(request):
        method = dict(parse_qsl(request.content.decode()))["method"]
        node = json.dumps(next(left), ensure_ascii=False)
        sign = rsa.sign(node, rsa.private_key(THEIRS))
        body = f'{{"{method.replace(".", "_")}_response":{node},"sign":"{sign}"}}'
        return httpx.Response(200, content=body.encode())

    return gateway(answer)


def test_a_trade_that_waits_is_closed():
    assert says(CLOSE, {"code": "10000", "out_trade_no": "A1", "trade_no": "T1"}).close(A1) is True


def test_a_code_that_nobody_has_scanned_can_still_be_paid():
    assert says(CLOSE, no("ACQ.TRADE_NOT_EXIST")).close(A1) is False


@pytest.mark.parametrize(
    "found",
    [
        paid(),
        paid(trade_status="TRADE_FINISHED"),
        paid(trade_status="TRADE_CLOSED", send_pay_date="2026-03-01 20:00:00"),
    ],
    ids=["paid", "finished", "refunded as a whole"],
)
def test_what_has_taken_money_is_not_closed(found):
    with pytest.raises(GatewayRefused):
        in_turn(no("ACQ.TRADE_STATUS_ERROR"), found).close(A1)


@pytest.mark.parametrize(
    ("found", "closed"),
    [(paid(trade_status="TRADE_CLOSED"), True), (paid(trade_status="WAIT_BUYER_PAY"), False)],
)
def test_what_was_closed_before_is_told_from_what_is_paid(found, closed):
    assert in_turn(no("ACQ.REASON_TRADE_STATUS_INVALID"), found).close(A1) is closed


@pytest.mark.parametrize("sub_code", ["isv.insufficient-isv-permissions", "aop.ACQ.SYSTEM_ERROR"])
def test_any_other_no_to_closing_is_an_error(sub_code):
    with pytest.raises(GatewayError):
        says(CLOSE, no(sub_code)).close(A1)


def test_money_that_came_and_went_did_come():
    refunded = paid(trade_status="TRADE_CLOSED", send_pay_date="2026-03-01 20:00:00")

    assert in_turn(refunded).query(A1).paid
    assert not in_turn(paid(trade_status="TRADE_CLOSED")).query(A1).paid
    assert not in_turn(paid(trade_status="WAIT_BUYER_PAY", send_pay_date="2026-03-01")).query(A1).paid


def test_a_refund_is_asked_for_under_its_number():
    seen = {}

    def answer(request):
        seen.update(parse_qsl(request.content.decode()))
        return httpx.Response(500)

    with pytest.raises(GatewayError):
        gateway(answer).refund(REFUND)

    assert json.loads(seen["biz_content"]) == {
        "trade_no": "T1",
        "refund_amount": "0.90",
        "out_request_no": "R" * 32,
        "refund_reason": "sold out",
    }


@pytest.mark.parametrize(
    ("fund_change", "state"),
    [("Y", RefundState.DONE), ("N", RefundState.UNDER_WAY), (None, RefundState.UNDER_WAY)],
)
def test_the_money_has_left_when_it_says_so_and_has_to_be_asked_about_otherwise(fund_change, state):
    said = {name: value for name, value in {**MADE, "fund_change": fund_change}.items() if value}

    assert says(REFUNDED, said).refund(REFUND) is state


UNMATCHED = replace(REFUND, trade=Trade(out_trade_no="", provider_txn_id="T1"))


def test_money_that_nobody_here_asked_for_goes_back_by_alipays_number():
    assert says(REFUNDED, MADE).refund(UNMATCHED) is RefundState.DONE
    assert says(FOUND, DONE).ask_refund(UNMATCHED) is RefundState.DONE

    with pytest.raises(GatewayError, match="another trade"):
        says(REFUNDED, {**MADE, "trade_no": "T2"}).refund(UNMATCHED)
    with pytest.raises(GatewayError, match="another trade"):
        says(FOUND, {**DONE, "trade_no": "T2"}).ask_refund(UNMATCHED)


@pytest.mark.parametrize("sub_code", ["ACQ.SELLER_BALANCE_NOT_ENOUGH", "ACQ.TRADE_NOT_ALLOW_REFUND"])
def test_a_no_is_one(sub_code):
    with pytest.raises(GatewayRefused):
        says(REFUNDED, no(sub_code)).refund(REFUND)


@pytest.mark.parametrize(
    "said",
    [
        no("ACQ.SYSTEM_ERROR"),
        {"code": "20000", "sub_code": "isp.unknow-error"},
        {**MADE, "out_trade_no": "A2"},
    ],
    ids=str,
)
def test_when_nobody_knows_it_is_an_error(said):
    with pytest.raises(GatewayError):
        says(REFUNDED, said).refund(REFUND)


def test_a_yes_that_the_platform_has_not_signed_is_none():
    with pytest.raises(GatewayError, match="signature"):
        says(REFUNDED, MADE, STRANGERS).refund(REFUND)


@pytest.mark.parametrize(
    ("said", "state"),
    [
        (DONE, RefundState.DONE),
        ({name: value for name, value in DONE.items() if name != "refund_status"}, RefundState.DONE),
        ({**DONE, "refund_status": "REFUND_PROCESSING"}, RefundState.UNDER_WAY),
        ({**DONE, "refund_status": "INVENTED_LATER"}, RefundState.UNDER_WAY),
        ({**DONE, "refund_status": "REFUND_FAIL"}, RefundState.FAILED),
        ({"code": "10000", "msg": "Success"}, None),
        ({"code": "10000", "out_trade_no": "A1", "trade_no": "T1"}, None),
        ({"code": "10000", "refund_status": "REFUND_PROCESSING"}, RefundState.UNDER_WAY),
        (no("ACQ.TRADE_NOT_EXIST"), None),
    ],
    ids=str,
)
def test_what_became_of_a_refund(said, state):
    assert says(FOUND, said).ask_refund(REFUND) is state


@pytest.mark.parametrize(
    "said",
    [
        no("ACQ.SYSTEM_ERROR"),
        no("isv.invalid-signature"),
        {**DONE, "refund_amount": "9.90"},
        {**DONE, "refund_amount": "much"},
        {**DONE, "out_request_no": "R2"},
        {**DONE, "out_trade_no": "A2"},
    ],
    ids=str,
)
def test_an_answer_about_something_else_is_an_error(said):
    with pytest.raises(GatewayError):
        says(FOUND, said).ask_refund(REFUND)


SELLER = "2088721003899159"


def test_with_the_sellers_account_entered_notices_of_another_are_refused():
    desk = gateway(seller_id=SELLER)

    assert desk.read_notice(notice(seller_id=SELLER), at=NOON).evidence.paid
    assert gateway().read_notice(notice(seller_id="2088000000000000"), at=NOON).evidence.paid
    for other in ("2088000000000000", None):
        with pytest.raises(BadNotice, match="account"):
            desk.read_notice(notice(seller_id=other), at=NOON)


def test_the_sellers_account_is_checked_when_it_is_entered():
    (setting,) = (setting for setting in DRIVERS[0].settings if setting.name == "seller_id")

    assert not setting.is_required
    setting.check(SELLER)
    for wrong in ("2089721003899159", SELLER[:-1], SELLER + "0", "２０８８721003899159"):
        with override("en"), pytest.raises(ValueError, match="sixteen"):
            setting.check(wrong)


def test_the_notice_of_a_refund_in_part_is_of_the_same_money():
    refunded = notice(refund_fee="0.90", gmt_refund="2026-03-01 20:30:00.123")

    said = gateway().read_notice(refunded, at=NOON).evidence

    assert (said.paid, said.amount_minor, said.provider_txn_id) == (True, 990, PAID["trade_no"])
