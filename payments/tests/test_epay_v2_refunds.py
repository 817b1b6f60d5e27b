"""EPay v2: closing, refunding and asking about refunds, against a scripted platform with real signatures."""

import httpx
import pytest

from payments.gateways.base import GatewayError, GatewayRefused, RefundState
from payments.tests.test_epay_v2 import STRANGERS, gateway, says
from payments.tests.wanted import A1, REFUND

MADE = {"code": 0, "refund_no": "20260301", "out_refund_no": "R" * 32, "trade_no": "T1", "money": "0.90"}
FOUND = {**MADE, "status": 1}


def says_no(why, code=-1):
    return gateway(lambda request: httpx.Response(200, json={"code": code, "msg": why}))


def test_a_signed_yes_closes():
    assert says(code=0, msg="订单关闭成功").close(A1) is True


def test_a_provider_that_closes_nothing_promises_nothing():
    assert says_no("当前支付插件不支持关闭").close(A1) is False


def test_what_is_no_longer_unpaid_is_not_closed():
    with pytest.raises(GatewayRefused):
        says_no("该订单状态不支持关闭！").close(A1)


@pytest.mark.parametrize(
    "call",
    [lambda desk: desk.close(A1), lambda desk: desk.refund(REFUND), lambda desk: desk.ask_refund(REFUND)],
)
def test_a_yes_that_the_platform_has_not_signed_is_none(call):
    with pytest.raises(GatewayError, match="signature"):
        call(says(STRANGERS, **FOUND))


def test_a_refund_is_asked_for_under_its_number_once():
    seen = []

    def answer(request):
        seen.append(httpx.QueryParams(request.content.decode()))
        raise httpx.ReadError("reset")

    with pytest.raises(GatewayError):
        gateway(answer).refund(REFUND)

    (asked,) = seen
    assert (asked["out_refund_no"], asked["trade_no"], asked["money"]) == ("R" * 32, "T1", "0.90")
    assert asked["sign_type"] == "RSA"


def test_a_signed_yes_is_a_refund():
    assert says(**MADE).refund(REFUND) is RefundState.DONE


def test_a_clear_no_is_told_in_the_platforms_words():
    with pytest.raises(GatewayRefused, match="商户余额不足"):
        says_no("商户余额不足，请先充值").refund(REFUND)


def test_what_is_said_of_the_provider_behind_it_is_no_clear_no():
    """That one may have refunded and answered too late: it must not be refunded again unseen."""
    with pytest.raises(GatewayError, match="timed out"):
        says_no("退款失败：Operation timed out").refund(REFUND)


@pytest.mark.parametrize("code", [500, None, "0", 1])
def test_what_is_neither_yes_nor_no_is_an_error(code):
    with pytest.raises(GatewayError):
        says_no("?", code).refund(REFUND)


ANOTHER = {
    "another refund": {"out_refund_no": "R2"},
    "no refund at all": {"out_refund_no": ""},
    "another amount": {"money": "9.90"},
    "no amount": {"money": "much"},
    "another trade": {"trade_no": "T2"},
}


@pytest.mark.parametrize("change", ANOTHER.values(), ids=ANOTHER)
def test_a_signed_yes_about_something_else_is_none(change):
    with pytest.raises(GatewayError):
        says(**{**MADE, **change}).refund(REFUND)
    with pytest.raises(GatewayError):
        says(**{**FOUND, **change}).ask_refund(REFUND)


@pytest.mark.parametrize(
    ("status", "state"), [(1, RefundState.DONE), ("1", RefundState.DONE), (0, RefundState.UNDER_WAY)]
)
def test_what_became_of_a_refund(status, state):
    assert says(**{**FOUND, "status": status}).ask_refund(REFUND) is state


def test_a_refund_that_nobody_knows_of():
    assert says_no("退款记录不存在").ask_refund(REFUND) is None
    for trouble in (says_no("系统繁忙"), says(**{**FOUND, "status": 7})):
        with pytest.raises(GatewayError):
            trouble.ask_refund(REFUND)
