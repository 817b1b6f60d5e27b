"""The EPay v2 driver against a scripted provider with real signatures."""

import json
from base64 import b64encode
from datetime import timedelta
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.gateways import rsa
from payments.gateways.base import (
    BadNotice,
    GatewayError,
    GatewayRefused,
    PayPage,
    RawCall,
    Unreachable,
)
from payments.gateways.epay import signed_text
from payments.gateways.epay_v2 import EpayV2Gateway
from payments.gateways.rsa import new_key, public_of
from payments.tests.wanted import A1, WANTED
from tests.factories import NOON

OURS, THEIRS, STRANGERS = new_key(), new_key(), new_key()
NOW = str(int(NOON.timestamp()))
PAID = {
    "pid": "1001",
    "trade_no": "20260301120000123",
    "out_trade_no": "A1",
    "type": "bank",
    "name": "VIP会员",
    "money": "9.9",
    "trade_status": "TRADE_SUCCESS",
    "api_trade_no": "4200001",
    "timestamp": NOW,
    "sign_type": "RSA",
}


def gateway(answer=None, **changes):
    transport = httpx.MockTransport(answer or (lambda request: httpx.Response(500)))
    return EpayV2Gateway(
        **{
            "base_url": "https://pay.example/epay/",
            "merchant_id": "1001",
            "secret": OURS,
            "provider_key": public_of(THEIRS),
            "method": "bank",
            "http": httpx.Client(transport=transport),
            "clock": lambda: NOON,
            **changes,
        }
    )


def signed(params, by=THEIRS):
    text = signed_text({name: value for name, value in params.items() if isinstance(value, str)})
    return {**params, "sign": rsa.sign(text, rsa.private_key(by))}


def says(by=THEIRS, **body):
    body = {"timestamp": NOW, **body}
    as_signed = {name: json.dumps(value) if isinstance(value, int) else value for name, value in body.items()}
    return gateway(lambda request: httpx.Response(200, json={**body, "sign": signed(as_signed, by)["sign"]}))


def notice(by=THEIRS, **changes):
    params = {name: value for name, value in {**PAID, **changes}.items() if value is not None}
    return RawCall("GET", urlencode(params if "sign" in changes else signed(params, by)), "")


def test_a_paid_notice_is_read_and_is_proof():
    said = gateway().read_notice(notice(), at=NOON).evidence

    assert (said.paid, said.amount_minor, said.out_trade_no) == (True, 990, "A1")
    assert said.provider_txn_id == "20260301120000123"
    assert EpayV2Gateway.notice_is_proof


def test_a_field_that_is_new_is_signed_with_the_others():
    assert gateway().read_notice(notice(invented="later"), at=NOON).evidence.paid


def test_a_signed_but_unpaid_notice_is_no_money():
    assert gateway().read_notice(notice(trade_status="WAIT_BUYER_PAY"), at=NOON).evidence.paid is False


@pytest.mark.parametrize("off", [timedelta(minutes=4), timedelta(minutes=-4)])
def test_clocks_may_differ_by_five_minutes(off):
    assert gateway().read_notice(notice(), at=NOON + off).evidence.paid


HOSTILE = {
    "no signature": notice(sign=""),
    "no base64": notice(sign="签名"),
    "another's key": notice(by=STRANGERS),
    "our own key": notice(by=OURS),
    "v1's signature": notice(sign="d234c00c90982004526450b6a5e31089", sign_type="MD5"),
    "downgraded, validly signed": notice(sign_type="MD5"),
    "no type of signature": notice(sign_type=None),
    "altered afterwards": notice(**{**signed(PAID), "money": "0.01"}),
    "added to": RawCall("GET", notice().query + "&extra=1", ""),
    "a name twice": RawCall("GET", notice().query + "&money=0.01", ""),
    "another merchant": notice(pid="1002"),
    "no time stamp": notice(timestamp=None),
    "a time stamp in words": notice(timestamp="now"),
    "a time stamp in milliseconds": notice(timestamp=NOW + "000"),
    "an Arabic time stamp": notice(timestamp="١٧٧٢٣٦٦٤٠٠"),
    "an hour ago": notice(timestamp=str(int(NOW) - 3600)),
    "in an hour": notice(timestamp=str(int(NOW) + 3600)),
    "money in science": notice(money="1e3"),
    "less than nothing": notice(money="-1"),
    "no number of ours": notice(out_trade_no=""),
    "a number without end": notice(trade_no="x" * 65),
    "nothing": RawCall("GET", "", ""),
    "by POST": RawCall("POST", "", notice().query),
}


@pytest.mark.parametrize("call", HOSTILE.values(), ids=HOSTILE)
def test_a_notice_that_cannot_be_trusted_or_read_is_refused(call):
    with pytest.raises(BadNotice):
        gateway().read_notice(call, at=NOON)


@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=6))
def test_whatever_is_signed_verifies_and_nothing_else(params):
    text = signed_text(params)
    signature = rsa.sign(text, rsa.private_key(THEIRS))

    assert rsa.verify(text, signature, rsa.public_key(public_of(THEIRS)))
    assert not rsa.verify(text + "&", signature, rsa.public_key(public_of(THEIRS)))
    assert not rsa.verify(text, b64encode(b"\0" * 256).decode(), rsa.public_key(public_of(THEIRS)))


def test_creating_signs_the_request_and_leads_to_the_page():
    seen = {}

    def answer(request):
        seen.update(httpx.QueryParams(request.content.decode()), path=request.url.path)
        said = {"trade_no": "T", "pay_type": "jump", "pay_info": "https://pay.example/p/1", "timestamp": NOW}
        return httpx.Response(200, json={**said, "code": 0, "sign": signed({**said, "code": "0"})["sign"]})

    assert gateway(answer).create(WANTED) == PayPage(url="https://pay.example/p/1")
    assert seen["path"] == "/epay/api/pay/create"
    assert (seen["money"], seen["timestamp"], seen["sign_type"]) == ("9.90", NOW, "RSA")
    assert len(seen["name"].encode()) <= 127
    unsigned = {name: value for name, value in seen.items() if name not in ("sign", "sign_type", "path")}
    assert rsa.verify(signed_text(unsigned), seen["sign"], rsa.public_key(public_of(OURS)))


@pytest.mark.parametrize(
    ("kind", "page"),
    [
        ("qrcode", PayPage(qr="weixin://wxpay/bizpayurl?pr=1")),
        ("urlscheme", PayPage(app_url="weixin://wxpay/bizpayurl?pr=1")),
    ],
)
def test_one_pays_by_scanning_or_in_an_app_where_there_is_no_page(kind, page):
    assert says(code=0, pay_type=kind, pay_info="weixin://wxpay/bizpayurl?pr=1").create(WANTED) == page


@pytest.mark.parametrize(
    "said", [{"pay_type": "html", "pay_info": "<form>"}, {"pay_type": "jump", "pay_info": "javascript:1"}, {}]
)
def test_a_page_of_another_kind_is_no_page(said):
    with pytest.raises(GatewayError):
        says(code=0, **said).create(WANTED)


def test_a_no_needs_no_signature():
    refusing = gateway(lambda request: httpx.Response(200, json={"code": -1, "msg": "余额不足"}))

    with pytest.raises(GatewayRefused, match="余额不足"):
        refusing.create(WANTED)


@pytest.mark.parametrize("by", [STRANGERS, OURS])
def test_a_yes_that_the_platform_has_not_signed_is_none(by):
    paid = {"out_trade_no": "A1", "trade_no": "T", "money": "9.90", "status": 1, "code": 0}

    with pytest.raises(GatewayError, match="signature"):
        says(by, **paid).query(A1)


def test_a_yes_of_an_hour_ago_is_none():
    paid = {"out_trade_no": "A1", "trade_no": "T", "money": "9.90", "status": 1, "code": 0}

    with pytest.raises(GatewayError, match="signature"):
        says(**paid, timestamp=str(int(NOW) - 3600)).query(A1)


@pytest.mark.parametrize(("status", "paid"), [(0, False), (1, True), (2, True), (3, True), (4, False)])
def test_what_came_in_once_is_paid(status, paid):
    said = says(code=0, out_trade_no="A1", trade_no="T", money="9.90", status=status).query(A1)

    assert (said.paid, said.amount_minor) == (paid, 990)


def test_an_answer_about_another_trade_is_an_error():
    with pytest.raises(GatewayError, match="another trade"):
        says(code=0, out_trade_no="A2", trade_no="T", money="9.90", status=1).query(A1)


def test_an_unknown_trade_is_none_and_any_other_no_is_an_error():
    unknown = gateway(lambda request: httpx.Response(200, json={"code": -1, "msg": "订单号不存在"}))
    broken = gateway(lambda request: httpx.Response(200, json={"code": -5, "msg": "系统繁忙"}))

    assert unknown.query(A1) is None
    with pytest.raises(GatewayError):
        broken.query(A1)


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_platform_that_is_away_is_unreachable(status):
    with pytest.raises(Unreachable):
        gateway(lambda request: httpx.Response(status)).query(A1)


@pytest.mark.parametrize("key", ["", "no base64!", b64encode(b"no key").decode(), public_of(OURS)])
def test_a_key_of_ours_that_is_none_is_an_outage_and_says_nothing_of_itself(key):
    with pytest.raises(Unreachable) as caught:
        gateway(secret=key).query(A1)

    assert not key or key not in str(caught.value)


def test_keys_come_with_or_without_their_frame():
    framed = f"-----BEGIN PUBLIC KEY-----\n{public_of(OURS)}\n-----END PUBLIC KEY-----\n"

    assert rsa.public_key(framed).public_numbers() == rsa.public_key(public_of(OURS)).public_numbers()
