"""USDT: what is asked of the providers, and what their answers are taken for."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import translation

from payments.gateways import usdt
from payments.gateways.base import GatewayError, GatewayRefused, Trade
from payments.gateways.bepusdt import DRIVER as BEPUSDT
from payments.gateways.tokenpay import DRIVER as TOKENPAY
from payments.gateways.usdt import as_sent
from payments.tests.usdt_providers import AGREED, DIALECTS, OPENED, bepusdt, epusdt, says, tokenpay, yes
from payments.tests.wanted import WANTED
from tests.factories import NOON, SECRET

# Opening a trade

CREATED_BY_GO = {
    "trade_id": "T1",
    "order_id": "A1",
    "amount": 9.9,
    "payment_url": "https://pay.example/p/T1",
    "fiat": "CNY",
}
CREATED_BY_SHARP = {
    "success": True,
    "data": "https://pay.example/Pay?Id=T1",
    "info": {"Id": "T1", "OutOrderId": "A1", "ActualAmount": "9.90", "BaseCurrency": "CNY"},
}
ANSWERS = {
    "epusdt": (epusdt, yes(**CREATED_BY_GO), CREATED_BY_GO["payment_url"], "T1 9.90"),
    "bepusdt": (bepusdt, yes(**{**CREATED_BY_GO, "amount": "9.9"}), CREATED_BY_GO["payment_url"], "T1"),
    "tokenpay": (tokenpay, CREATED_BY_SHARP, CREATED_BY_SHARP["data"], "T1"),
}


@pytest.mark.parametrize("dialect", ANSWERS)
def test_opening_signs_what_it_sends_and_remembers_what_to_ask_by(dialect):
    make, body, url, reference = ANSWERS[dialect]
    _, _, spelling, signature = DIALECTS[dialect]
    answer = says(body)

    page = make(answer).create(WANTED)

    assert (page.url, page.reference) == (url, reference)
    sent = usdt.read_flat(answer.calls[0].content.decode())
    assert sent[signature] == usdt.sign(sent, SECRET, spelling=spelling)
    assert "9.9" in sent.values()
    assert {WANTED.notify_url, WANTED.return_url, "A1"} <= set(sent.values())


@pytest.mark.parametrize(("seconds", "timeout"), [(900, "900"), (60, "180"), (-5, "180"), (86400, "3600")])
def test_bepusdt_waits_as_long_as_the_hold_or_as_it_can(seconds, timeout):
    answer = says(yes(**CREATED_BY_GO))

    bepusdt(answer).create(replace(WANTED, expires_at=NOON + timedelta(seconds=seconds)))

    assert usdt.read_flat(answer.calls[0].content.decode())["timeout"] == timeout


@pytest.mark.parametrize("make", [epusdt, bepusdt, tokenpay])
def test_nothing_is_never_asked_for_nor_another_currency(make):
    answer = says({})
    for changes in ({"amount_minor": 0}, {"currency": "HKD"}):
        with pytest.raises(GatewayRefused):
            make(answer).create(replace(WANTED, **changes))
    assert answer.calls == []


def refuses(code, message):
    return {"status_code": code, "message": message}


@pytest.mark.parametrize(
    ("make", "body"),
    [
        (epusdt, refuses(10005, "无可用金额通道")),
        (epusdt, refuses(10002, "支付交易已存在，请勿重复创建")),
        (epusdt, refuses(401, "签名认证错误")),
        (bepusdt, refuses(400, "订单创建失败：计算交易金额异常，联系管理员处理！")),
        (tokenpay, {"success": False, "message": "无可用收款地址！"}),
        (tokenpay, {**CREATED_BY_SHARP, "info": {**CREATED_BY_SHARP["info"], "BaseCurrency": "USD"}}),
    ],
)
def test_a_no_is_a_no_and_no_outage(make, body):
    with pytest.raises(GatewayRefused):
        make(says(body)).create(WANTED)


@pytest.mark.parametrize(
    ("make", "body"),
    [
        (epusdt, refuses(500, "server error")),
        (epusdt, yes(**{**CREATED_BY_GO, "amount": 9.8})),
        (epusdt, yes(**{**CREATED_BY_GO, "order_id": "A2"})),
        (epusdt, yes(**{**CREATED_BY_GO, "payment_url": "javascript:alert(1)"})),
        (epusdt, {"status_code": 200, "data": None}),
        (bepusdt, yes(**{**CREATED_BY_GO, "trade_id": "../x"})),
        (bepusdt, yes(**{**CREATED_BY_GO, "order_id": "A2"})),
        (bepusdt, yes(**{**CREATED_BY_GO, "payment_url": ""})),
        (tokenpay, {**CREATED_BY_SHARP, "info": None}),
        (tokenpay, {**CREATED_BY_SHARP, "info": {**CREATED_BY_SHARP["info"], "OutOrderId": "A2"}}),
    ],
)
def test_an_odd_answer_leads_no_buyer_anywhere(make, body):
    with pytest.raises(GatewayError):
        make(says(body)).create(WANTED)


# Asking


def test_epusdt_tells_only_that_it_is_paid_and_the_amount_is_what_was_agreed():
    said = epusdt(says(yes(trade_id="T1", status=2))).query(AGREED)

    assert (said.paid, said.amount_minor, said.provider_txn_id, said.out_trade_no) == (True, 990, "T1", "A1")


@pytest.mark.parametrize("status", [1, 3, "2x", None])
def test_epusdt_says_of_another_status_that_nothing_came(status):
    assert not epusdt(says(yes(trade_id="T1", status=status))).query(AGREED).paid


INFO = {"trade_id": "T1", "order_id": "A1", "status": 2, "money": "9.9", "fiat": "CNY"}
ROW = {"id": "T1", "outOrderId": "A1", "status": "Paid", "actualAmount": 9.9}


def test_bepusdt_and_tokenpay_tell_what_came():
    for said in (
        bepusdt(says(yes(**INFO))).query(OPENED),
        tokenpay(says({"success": True, "data": ROW})).query(OPENED),
    ):
        assert (said.paid, said.amount_minor, said.currency, said.provider_txn_id) == (True, 990, "CNY", "T1")


def test_tokenpay_is_asked_with_a_signature():
    answer = says({"success": True, "data": ROW})
    tokenpay(answer).query(OPENED)

    signature = usdt.sign({"Id": "T1"}, SECRET, spelling=as_sent)
    assert dict(answer.calls[0].url.params) == {"Id": "T1", "Signature": signature}


@pytest.mark.parametrize("status", [1, 3, 4, 5, 6])
def test_what_bepusdt_waits_for_or_has_given_up_is_not_paid(status):
    assert not bepusdt(says(yes(**{**INFO, "status": status}))).query(OPENED).paid


@pytest.mark.parametrize(
    ("make", "body"),
    [
        (epusdt, refuses(10008, "订单不存在")),
        (bepusdt, refuses(400, "order not found")),
        (tokenpay, {"success": False, "message": "订单不存在！"}),
    ],
)
def test_what_they_do_not_know_is_unknown(make, body):
    assert make(says(body)).query(AGREED) is None


@pytest.mark.parametrize("make", [epusdt, bepusdt, tokenpay])
def test_of_a_trade_that_nobody_was_sent_to_they_are_not_asked(make):
    answer = says({})

    assert make(answer).query(Trade(out_trade_no="A1")) is None
    assert answer.calls == []


@pytest.mark.parametrize(
    ("make", "body"),
    [
        (epusdt, yes(trade_id="T2", status=2)),
        (epusdt, refuses(400, "系统错误")),
        (epusdt, []),
        (bepusdt, yes(**{**INFO, "trade_id": "T2"})),
        (bepusdt, yes(**{**INFO, "order_id": "A2"})),
        (bepusdt, yes(**{**INFO, "fiat": "XXX"})),
        (bepusdt, yes(**{**INFO, "money": "0"})),
        (bepusdt, refuses(400, "database is locked")),
        (tokenpay, {"success": True, "data": {**ROW, "id": "T2"}}),
        (tokenpay, {"success": True, "data": {**ROW, "outOrderId": "A2"}}),
        (tokenpay, {"success": True, "data": {**ROW, "actualAmount": None}}),
        (tokenpay, {"success": False, "message": "签名验证失败！"}),
    ],
)
def test_an_answer_that_says_nothing_of_our_trade_is_an_error(make, body):
    trade = AGREED if make is epusdt else OPENED
    with pytest.raises(GatewayError):
        make(says(body)).query(trade)


# Settings


@pytest.mark.parametrize(
    ("driver", "name", "good", "bad"),
    [
        (BEPUSDT, "trade_type", "usdt.polygon", "tron.trx"),
        (BEPUSDT, "fiat", "USD", "HKD"),
        (TOKENPAY, "currency", "EVM_BSC_USDT_BEP20", "TRX"),
        (TOKENPAY, "fiat", "HKD", "JPY"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_with_words(driver, name, good, bad):
    [setting] = [setting for setting in driver.settings if setting.name == name]

    assert not setting.is_required
    setting.check(good)
    with translation.override("en"), pytest.raises(ValueError, match="Enter"):
        setting.check(bad)
