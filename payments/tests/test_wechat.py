"""The WeChat Pay driver against a scripted platform with real signatures."""

import json
from dataclasses import replace
from datetime import date, timedelta
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from django.utils.translation import override
from hypothesis import given
from hypothesis import strategies as st

from payments.gateways import rsa, wechat_login
from payments.gateways.base import (
    BadNotice,
    Evidence,
    GatewayError,
    GatewayRefused,
    RefundEvidence,
    RefundRequest,
    RefundState,
    Trade,
    Unreachable,
)
from payments.gateways.drivers import Account
from payments.gateways.rsa import public_of
from payments.gateways.wechat import DRIVER
from payments.gateways.wechat_bill import read_bill
from payments.tests.wechat_platform import (
    APPID,
    BILL,
    KEY_ID,
    MCHID,
    NOW,
    ORDER,
    OURS,
    PAID,
    SERIAL,
    STRANGERS,
    V3_KEY,
    bill_answers,
    bill_row,
    gateway,
    notice,
    says,
    sealed,
)
from tests.factories import NOON

A1 = Trade(out_trade_no="A1-000001")
BACK = RefundRequest(
    out_refund_no="R1",
    trade=replace(A1, provider_txn_id="T1"),
    paid_minor=990,
    amount_minor=90,
    currency="CNY",
    reason="退" * 40,
    requested_at=NOON,
)


def refund(**changes):
    said = {"out_refund_no": "R1", "status": "PROCESSING", "amount": {"refund": 90, "total": 990}}
    return {**said, **changes}


# ---- notices


def test_a_paid_notice_is_read_and_is_proof():
    said = gateway().read_notice(notice(), at=NOON).evidence

    assert said == Evidence(
        out_trade_no="A1-000001",
        provider_txn_id="4200002026030112345678901234",
        paid=True,
        amount_minor=990,
        currency="CNY",
    )
    assert gateway().notice_is_proof


@pytest.mark.parametrize("state", ["NOTPAY", "CLOSED", "REVOKED", "USERPAYING", "success", ""])
def test_a_genuine_notice_of_an_unpaid_trade_is_no_money(state):
    assert not gateway().read_notice(notice({**PAID, "trade_state": state}), at=NOON).evidence.paid


def test_money_that_has_gone_back_since_is_said_to_have():
    said = gateway().read_notice(notice({**PAID, "trade_state": "REFUND"}), at=NOON).evidence

    assert (said.paid, said.gone_back, said.amount_minor) == (True, True, 990)


@pytest.mark.parametrize("kind", ["REFUND.SUCCESS", "REFUND.ABNORMAL", "REFUND.CLOSED", "COUPON.USE"])
def test_a_genuine_notice_of_something_else_is_taken_and_speaks_of_no_money(kind):
    said = {"mchid": MCHID, "out_refund_no": "R1", "refund_status": "SUCCESS", "amount": {"refund": 990}}

    assert gateway().read_notice(notice(said, kind=kind), at=NOON).evidence is None


def test_a_notice_that_is_sealed_and_signed_anew_is_the_same():
    first = gateway().read_notice(notice(), at=NOON)
    again = notice(seal=sealed(PAID, nonce="another12byt"), nonce="another", stamp=str(NOW + 15))

    assert gateway().read_notice(again, at=NOON + timedelta(seconds=20)).digest == first.digest
    other = gateway().read_notice(notice({**PAID, "transaction_id": "T2"}), at=NOON)
    assert other.digest != first.digest


def paid(**changes):
    return notice({name: value for name, value in {**PAID, **changes}.items() if value is not None})


def amount(**changes):
    return paid(amount={**PAID["amount"], **changes})


HOSTILE = {
    "no signature": (notice(signature=None), "bad signature"),
    "an empty signature": (notice(signature=""), "bad signature"),
    "no base64": (notice(signature="签名"), "bad signature"),
    "another's key": (notice(by=STRANGERS), "bad signature"),
    "our own key": (notice(by=OURS), "bad signature"),
    "a probe": (notice(signature="WECHATPAY/SIGNTEST/abcdef=="), "probe"),
    "downgraded": (notice(signature_type="WECHATPAY2-SM2-WITH-SM3"), "another way"),
    "another key's name": (notice(serial="PUB_KEY_ID_2"), "another key"),
    "a certificate's name": (notice(serial=SERIAL), "another key"),
    "no key's name": (notice(serial=None), "another key"),
    "too old": (notice(stamp=str(NOW - 300)), "too long ago"),
    "ahead of time": (notice(stamp=str(NOW + 300)), "too long ago"),
    "no time": (notice(stamp=""), "time stamp"),
    "time in Arabic digits": (notice(stamp="١٢٣"), "time stamp"),
    "time without end": (notice(stamp="9" * 5000), "time stamp"),
    "another nonce": (notice(nonce="a", signature=notice().headers["wechatpay-signature"]), "bad signature"),
    "added to": (replace(notice(), body=notice().body + " "), "bad signature"),
    "taken from another": (replace(notice(), body=paid(transaction_id="T2").body), "bad signature"),
    "sealed with another key": (notice(seal=sealed(PAID, key="x" * 32)), "opened"),
    "tampered ciphertext": (notice(seal=sealed(PAID, ciphertext="A" * 64)), "opened"),
    "ciphertext of no base64": (notice(seal=sealed(PAID, ciphertext="密")), "opened"),
    "about something else": (notice(seal=sealed(PAID, associated_data="refund")), "opened"),
    "a nonce of another length": (notice(seal=sealed(PAID, nonce="x" * 16)), "agreed"),
    "no nonce": (notice(seal=sealed(PAID) | {"nonce": None}), "opened"),
    "sealed in another way": (notice(seal=sealed(PAID, algorithm="AEAD_SM4_GCM")), "another way"),
    "not sealed": (notice(body=json.dumps({"event_type": "TRANSACTION.SUCCESS", **PAID})), "read"),
    "sealed text": (notice(seal="PAID"), "opened"),
    "no JSON": (notice(body="<xml/>"), "read"),
    "no object": (notice(body="[]"), "read"),
    "deeply nested": (notice(body="[" * 50_000), "read"),
    "nothing": (notice(body=""), "read"),
    "sealed nonsense": (notice("nonsense"), "read"),
    "a sealed list": (notice([PAID]), "read"),
    "another merchant": (paid(mchid="1900000002"), "another merchant"),
    "no merchant": (paid(mchid=None), "read"),
    "another app": (paid(appid="wx1"), "another merchant"),
    "a refund of another merchant's": (notice({"mchid": "1"}, kind="REFUND.SUCCESS"), "another merchant"),
    "no number of ours": (paid(out_trade_no=None), "out_trade_no"),
    "a number without end": (paid(out_trade_no="x" * 33), "out_trade_no"),
    "no number of theirs": (paid(transaction_id=""), "transaction_id"),
    "a number of theirs without end": (paid(transaction_id="x" * 65), "transaction_id"),
    "no amount": (paid(amount=None), "amount"),
    "an amount as text": (amount(total="990"), "amount"),
    "yuan for fen": (amount(total=9.9), "amount"),
    "money in science": (amount(total=9.9e2), "amount"),
    "true money": (amount(total=True), "amount"),
    "nothing paid": (amount(total=0), "amount"),
    "less than nothing": (amount(total=-990), "amount"),
    "more than there is": (amount(total=10**13), "amount"),
    "no currency": (amount(currency=None), "currency"),
}


@pytest.mark.parametrize(("call", "why"), HOSTILE.values(), ids=HOSTILE)
def test_a_notice_that_cannot_be_trusted_or_read_is_refused(call, why):
    with pytest.raises(BadNotice, match=why) as refused:
        gateway().read_notice(call, at=NOON)
    assert V3_KEY not in str(refused.value)


@pytest.mark.parametrize(("fen", "currency"), [(989, "CNY"), (991, "CNY"), (1, "CNY"), (990, "USD")])
def test_another_amount_or_currency_is_said_as_it_is(fen, currency):
    said = gateway().read_notice(amount(total=fen, currency=currency), at=NOON).evidence

    assert (said.amount_minor, said.currency) == (fen, currency)


@given(st.integers(1, 10**12))
def test_fen_are_fen(fen):
    assert gateway().read_notice(amount(total=fen), at=NOON).evidence.amount_minor == fen


# ---- asking to be paid


def asked(wanted, **settings):
    """What a gateway asks, and where."""
    seen = []

    def answer(request):
        seen.append(request)
        return httpx.Response(500)

    with pytest.raises(GatewayError):
        gateway(answer, **settings).create(wanted)
    return seen[0], json.loads(seen[0].content)


def test_a_code_is_shown():
    page = says({"code_url": "weixin://wxpay/bizpayurl?pr=1"}).create(ORDER)

    assert (page.qr, page.url, page.app_call) == ("weixin://wxpay/bizpayurl?pr=1", "", {})


def test_what_is_asked_is_signed_and_ends():
    request, about = asked(ORDER)

    assert request.url.path == "/v3/pay/transactions/native"
    assert (about["appid"], about["mchid"], about["out_trade_no"]) == (APPID, MCHID, "A1-000001")
    assert about["amount"] == {"total": 990, "currency": "CNY"}
    assert about["time_expire"] == "2026-03-01T20:15:00+08:00"
    assert len(about["description"].encode()) <= 127
    assert request.headers["Wechatpay-Serial"] == KEY_ID
    said = dict(part.split("=", 1) for part in request.headers["Authorization"].split(" ", 1)[1].split(","))
    said = {name: value.strip('"') for name, value in said.items()}
    text = f"POST\n/v3/pay/transactions/native\n{NOW}\n{said['nonce_str']}\n{request.content.decode()}\n"
    assert rsa.verify(text, said["signature"], rsa.public_key(public_of(OURS)))
    assert (said["mchid"], said["serial_no"]) == (MCHID, SERIAL)


def test_a_short_hold_ends_when_wechat_lets_it():
    _, about = asked(replace(ORDER, expires_at=NOON + timedelta(seconds=20)))

    assert about["time_expire"] == "2026-03-01T20:01:10+08:00"


IN_WECHAT = replace(ORDER, on_phone=True, in_wechat=True)


@pytest.mark.parametrize(
    ("wanted", "has_h5", "kind"),
    [
        (ORDER, True, "native"),
        (replace(ORDER, on_phone=True), True, "h5"),
        (replace(ORDER, on_phone=True), False, "native"),
        (IN_WECHAT, True, "native"),  # pages for phones open nowhere inside WeChat
        (replace(IN_WECHAT, payer="o1"), True, "jsapi"),
        (replace(ORDER, payer="o1"), False, "native"),
    ],
)
def test_which_way_is_asked_for(wanted, has_h5, kind):
    request, about = asked(wanted, has_h5=has_h5)

    assert request.url.path == f"/v3/pay/transactions/{kind}"
    assert about.get("payer") == ({"openid": "o1"} if kind == "jsapi" else None)
    scene = {"payer_client_ip": "192.0.2.1", "h5_info": {"type": "Wap"}}
    assert about.get("scene_info") == (scene if kind == "h5" else None)


def test_a_page_for_phones_knows_the_way_back():
    api = replace(says({"h5_url": "https://wx.tenpay.example/checkmweb?prepay_id=1&package=2"}), has_h5=True)

    url = api.create(replace(ORDER, on_phone=True)).url

    assert dict(parse_qsl(urlsplit(url).query)) == {
        "prepay_id": "1",
        "package": "2",
        "redirect_url": "https://shop.example/r",
    }


def test_what_the_page_hands_to_wechat_is_signed():
    call = says({"prepay_id": "wx1"}).create(replace(IN_WECHAT, payer="o1")).app_call

    text = f"{APPID}\n{NOW}\n{call['nonceStr']}\nprepay_id=wx1\n"
    assert rsa.verify(text, call["paySign"], rsa.public_key(public_of(OURS)))
    assert set(call) == {"appId", "timeStamp", "nonceStr", "package", "signType", "paySign"}


def test_wechat_takes_one_currency():
    with pytest.raises(GatewayRefused):
        gateway().create(replace(ORDER, currency="USD"))


# ---- answers


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (400, "PARAM_ERROR", GatewayRefused),
        (400, "INVALID_REQUEST", GatewayRefused),
        (400, "APPID_MCHID_NOT_MATCH", GatewayRefused),
        (400, "ORDER_CLOSED", GatewayRefused),
        (403, "NO_AUTH", GatewayRefused),
        (403, "RULE_LIMIT", GatewayRefused),
        (403, "NOT_ENOUGH", GatewayRefused),
        (403, "NOTENOUGH", GatewayRefused),
        (403, "OUT_TRADE_NO_USED", GatewayRefused),
        (404, "MCH_NOT_EXISTS", GatewayRefused),
        (400, "ORDERPAID", GatewayError),  # there is money: it has to be asked about
        (400, "SYSTEM_ERROR", GatewayError),
        (403, "FREQUENCY_LIMITED", GatewayError),
        (403, "FREQUENCY_LIMIT_EXCEED", GatewayError),
        (429, "FREQUENCY_LIMITED", GatewayError),
        (401, "SIGN_ERROR", GatewayError),
        (500, "SYSTEM_ERROR", GatewayError),
        (500, "ORDER_CLOSED", GatewayError),
        (502, "", Unreachable),
        (202, "USER_PAYING", GatewayError),
        (302, "", GatewayError),
    ],
)
def test_a_no_is_told_apart_from_trouble(status, code, outcome):
    with pytest.raises((GatewayError, GatewayRefused)) as raised:
        says({"code": code, "message": "说明"}, status).create(ORDER)
    assert raised.type is outcome


@pytest.mark.parametrize("status", [200, 400, 404])
@pytest.mark.parametrize(
    "how",
    [{"by": STRANGERS}, {"by": OURS}, {"signature": None}, {"serial": "X"}, {"stamp": str(NOW - 301)}],
    ids=["a stranger's", "our own", "none", "another key's", "old"],
)
def test_an_answer_that_wechat_has_not_signed_is_none_and_so_is_a_no(status, how):
    for call in (lambda api: api.query(A1), lambda api: api.refund(BACK), lambda api: api.close(A1)):
        with pytest.raises(GatewayError):
            call(says({**PAID, "code": "ORDER_NOT_EXIST"}, status, **how))


@pytest.mark.parametrize("body", ["<html>", "[]", '"text"', "null", "{" * 9999, '{"code_url": 1}', "{}"])
def test_what_cannot_be_read_is_an_error(body):
    with pytest.raises(GatewayError):
        says(body).create(ORDER)


def test_a_key_of_ours_that_is_none_is_an_outage():
    with pytest.raises(Unreachable):
        gateway(private_key="no key").query(A1)
    with pytest.raises(GatewayError):
        replace(says(PAID), api=replace(says(PAID).api, provider_key="no key")).query(A1)


def test_no_secret_is_shown():
    shown = repr(gateway())
    assert OURS not in shown
    assert V3_KEY not in shown


# ---- what became of it


def test_a_trade_is_asked_about_by_our_number_or_by_theirs():
    assert says(PAID).query(A1).amount_minor == 990
    assert says(PAID).query(replace(A1, provider_txn_id=PAID["transaction_id"])).paid
    assert not says({**PAID, "trade_state": "NOTPAY", "transaction_id": ""}).query(A1).paid
    assert says({"code": "ORDER_NOT_EXIST", "message": ""}, 404).query(A1) is None


@pytest.mark.parametrize(
    "changes", [{"out_trade_no": "A2-000001"}, {"mchid": "1900000002"}, {"appid": "wx1"}, {"amount": []}]
)
def test_an_answer_about_something_else_is_an_error(changes):
    with pytest.raises(GatewayError):
        says({**PAID, **changes}).query(A1)


def test_closing():
    assert says("", 204).close(A1)
    assert says({"code": "ORDER_CLOSED"}, 400).close(A1)
    assert not says({"code": "USER_PAYING"}, 202).close(A1)
    assert not says({"code": "INVALID_REQUEST"}, 400).close(A1)
    with pytest.raises(GatewayRefused):
        says({"code": "ORDERPAID"}, 400).close(A1)
    with pytest.raises(GatewayError):
        says({"code": "SYSTEM_ERROR"}, 500).close(A1)


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("SUCCESS", RefundState.DONE),
        ("PROCESSING", RefundState.UNDER_WAY),
        ("CLOSED", RefundState.FAILED),
        ("ABNORMAL", RefundState.FAILED),
    ],
)
def test_what_became_of_a_refund(word, state):
    assert says(refund(status=word)).refund(BACK) is state
    assert says(refund(status=word)).ask_refund(BACK) is state


@pytest.mark.parametrize(
    "changes", [{"out_refund_no": "R2"}, {"amount": {"refund": 91}}, {"amount": None}, {"status": "?"}]
)
def test_an_answer_about_another_refund_is_an_error(changes):
    for ask in (lambda api: api.refund(BACK), lambda api: api.ask_refund(BACK)):
        with pytest.raises(GatewayError):
            ask(says(refund(**changes)))


def test_a_refund_that_is_refused_unknown_or_uncertain():
    with pytest.raises(GatewayRefused, match="NOTENOUGH"):
        says({"code": "NOT_ENOUGH"}, 403).refund(BACK)
    with pytest.raises(GatewayError):
        says({"code": "FREQUENCY_LIMITED"}, 429).refund(BACK)
    assert says({"code": "RESOURCE_NOT_EXISTS"}, 404).ask_refund(BACK) is None
    with pytest.raises(GatewayError):
        says({"code": "PARAM_ERROR"}, 400).ask_refund(BACK)


# ---- the login inside WeChat


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        *((code, GatewayRefused) for code in (40029, 40163, 41008, 42003)),
        *((code, GatewayError) for code in (-1, 40001, 40013, 40125, 40164, 45009, 48001, 99999)),
    ],
)
def test_only_a_code_that_is_not_good_is_the_buyers_fault(code, kind):
    answer = httpx.MockTransport(lambda request: httpx.Response(200, json={"errcode": code}))
    account = Account(
        shop_id=1,
        base_url="",
        merchant_id="",
        provider_key="",
        method="wxpay",
        options={},
        secrets={},
        http=httpx.Client(transport=answer),
        clock=lambda: NOON,
    )

    with pytest.raises(kind):
        wechat_login.openid(account, "code")


# ---- what a merchant enters


def test_the_app_secret_travels_in_secret_only(settings):
    (check,) = (setting.check for setting in DRIVER.settings if setting.name == "login_url")
    settings.PROVIDERS_ON_LOOPBACK = False

    check("https://login.example/wechat")
    for bad in (
        "http://login.example",
        "https://",
        "https:login.example",
        "https://login.example:x",
        "https://x@login.example",
        "login.example",
        "ftp://login.example",
    ):
        with override("en"), pytest.raises(ValueError, match="https"):
            check(bad)

    settings.PROVIDERS_ON_LOOPBACK = True
    check("http://127.0.0.1:8001/wechat")


# ---- the bill of a day


def test_a_bill_is_read():
    assert list(bill_answers(BILL).statement(date(2026, 3, 1))) == [
        Evidence(out_trade_no="A1", provider_txn_id="T1", paid=True, amount_minor=990, currency="CNY"),
        RefundEvidence(out_refund_no="R1", provider_txn_id="T1", amount_minor=90, currency="CNY"),
    ]


def test_a_refund_that_is_being_made_is_told_from_one_that_was():
    row = bill_row("T1", "REFUND", refund="R1", went="SUCCESS", back="0.90")
    assert row in BILL
    [_paid, back] = read_bill(BILL.replace(row, row.replace("SUCCESS", "PROCESSING")))

    assert back.state is RefundState.UNDER_WAY


@pytest.mark.parametrize(
    "broken",
    [
        {"digest": "0" * 40},
        {"url": "https://files.example/bill"},
        {"url": "http://api.wechat.example/v3/billdownload/file"},
        {"url": "http://127.0.0.1/"},
        {"url": "file:///etc/passwd"},
    ],
    ids=["altered on the way", "elsewhere", "not in secret", "our own machine", "our own files"],
)
def test_a_bill_that_is_another_or_lies_elsewhere_is_none(broken):
    with pytest.raises(GatewayError):
        list(bill_answers(BILL, **broken).statement(date(2026, 3, 1)))


@pytest.mark.parametrize(
    "bill",
    [
        "",
        "<html>",
        BILL.replace("`3,", "`4,"),
        "\n".join(BILL.splitlines()[:3]),
        BILL.replace("`9.90,`0.00", "`1e3,`0.00"),
        BILL.replace("货币种类", "币种"),
        BILL.replace("`CNY", "`XAU"),
    ],
    ids=["empty", "a page", "a row is missing", "cut off", "money in science", "other headings", "gold"],
)
def test_a_bill_that_cannot_be_read_is_an_error(bill):
    with pytest.raises(GatewayError):
        list(read_bill(bill))


@pytest.mark.parametrize(("day", "is_over"), [(27, True), (28, False)])
def test_no_bill_is_a_day_without_trades_once_it_would_be_there(day, is_over):
    """It is nine in the morning in Beijing, where the bill of the day before is ready from ten on."""
    nine = NOON - timedelta(hours=11)
    api = says({"code": "NO_STATEMENT_EXIST"}, 400, stamp=str(int(nine.timestamp())))
    api = replace(api, api=replace(api.api, clock=lambda: nine))

    if is_over:
        assert list(api.statement(date(2026, 2, day))) == []
    else:
        with pytest.raises(GatewayError):
            list(api.statement(date(2026, 2, day)))
