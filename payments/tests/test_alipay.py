"""The Alipay driver against a scripted platform with real signatures."""

import json
from dataclasses import replace
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import httpx
import pytest

from payments.gateways import rsa
from payments.gateways.alipay import AlipayGateway, raw_node, signed_text
from payments.gateways.base import BadNotice, GatewayError, GatewayRefused, RawCall, Unreachable
from payments.gateways.rsa import new_key, public_of
from payments.tests.wanted import A1, WANTED
from tests.factories import NOON

OURS, THEIRS, STRANGERS = new_key(), new_key(), new_key()
SIGNS = frozenset({"sign", "sign_type"})
PAID = {
    "notify_type": "trade_status_sync",
    "notify_id": "2026030101222162644199160501632046",
    "app_id": "2021001",
    "trade_no": "2026030122001499160501589436",
    "out_trade_no": "A1",
    "subject": "订单 + 测试",
    "total_amount": "9.90",
    "trade_status": "TRADE_SUCCESS",
    "fund_bill_list": '[{"amount":"9.90","fundChannel":"ALIPAYACCOUNT"}]',
    "sign_type": "RSA2",
}
QUERY = "alipay_trade_query_response"
PRECREATE = "alipay_trade_precreate_response"


def gateway(answer=None, **changes):
    transport = httpx.MockTransport(answer or (lambda request: httpx.Response(500)))
    return AlipayGateway(
        **{
            "base_url": "https://openapi.example/gateway.do",
            "merchant_id": "2021001",
            "secret": OURS,
            "provider_key": public_of(THEIRS),
            "has_pages": False,
            "http": httpx.Client(transport=transport),
            "clock": lambda: NOON,
            **changes,
        }
    )


def says(name, node, by=THEIRS):
    """The platform answers with that node, as text, and signs it."""
    text = node if isinstance(node, str) else json.dumps(node, ensure_ascii=False)
    body = f'{{"{name}":{text},"sign":"{rsa.sign(text, rsa.private_key(by))}"}}'
    return gateway(lambda request: httpx.Response(200, content=body.encode()))


def notice(by=THEIRS, **changes):
    params = {name: value for name, value in {**PAID, **changes}.items() if value is not None}
    if "sign" not in changes:
        params["sign"] = rsa.sign(signed_text(params, without=SIGNS), rsa.private_key(by))
    return RawCall("POST", "", urlencode(params))


def paid(**changes):
    said = {"code": "10000", "msg": "Success", "out_trade_no": "A1", "trade_no": "T", "total_amount": "9.90"}
    return {**said, "trade_status": "TRADE_SUCCESS", **changes}


@pytest.mark.parametrize("status", ["TRADE_SUCCESS", "TRADE_FINISHED"])
def test_a_paid_notice_is_read_and_is_proof(status):
    said = gateway().read_notice(notice(trade_status=status), at=NOON).evidence

    assert (said.paid, said.amount_minor, said.out_trade_no) == (True, 990, "A1")
    assert said.provider_txn_id == "2026030122001499160501589436"
    assert AlipayGateway.notice_is_proof


@pytest.mark.parametrize("status", ["WAIT_BUYER_PAY", "TRADE_CLOSED", "", "trade_success"])
def test_a_signed_but_unpaid_notice_is_no_money(status):
    assert gateway().read_notice(notice(trade_status=status), at=NOON).evidence.paid is False


HOSTILE = {
    "no signature": notice(sign=""),
    "no base64": notice(sign="签名"),
    "another's key": notice(by=STRANGERS),
    "our own key": notice(by=OURS),
    "downgraded": notice(sign_type="RSA"),
    "no type of signature": notice(sign_type=None),
    "altered afterwards": RawCall("POST", "", notice().body.replace("9.90", "0.01", 1)),
    "added to": RawCall("POST", "", notice().body + "&extra=1"),
    "a name twice": RawCall("POST", "", notice().body + "&total_amount=0.01"),
    "another app": notice(app_id="2021002"),
    "no app": notice(app_id=None),
    "money in science": notice(total_amount="1e3"),
    "less than nothing": notice(total_amount="-1"),
    "no money": notice(total_amount=None),
    "no number of ours": notice(out_trade_no=None),
    "a number without end": notice(trade_no="x" * 65),
    "nothing": RawCall("POST", "", ""),
    "by GET": RawCall("GET", notice().body, ""),
}


@pytest.mark.parametrize("call", HOSTILE.values(), ids=HOSTILE)
def test_a_notice_that_cannot_be_trusted_or_read_is_refused(call):
    with pytest.raises(BadNotice):
        gateway().read_notice(call, at=NOON)


def test_a_code_is_shown_and_opens_the_app():
    code = "https://qr.alipay.example/bax03+1"

    page = says(PRECREATE, {"code": "10000", "out_trade_no": "A1", "qr_code": code}).create(WANTED)

    assert (page.url, page.qr) == ("", code)
    assert page.app_url.endswith(f"&qrcode={quote(code, safe='')}")


def test_what_is_asked_is_signed_stamped_by_beijing_and_ends():
    seen = {}

    def answer(request):
        seen.update(parse_qsl(request.content.decode()))
        return httpx.Response(500)

    with pytest.raises(GatewayError):
        gateway(answer).create(WANTED)

    assert rsa.verify(signed_text(seen), seen["sign"], rsa.public_key(public_of(OURS)))
    about = json.loads(seen["biz_content"])
    assert (seen["timestamp"], about["time_expire"]) == ("2026-03-01 20:00:00", "2026-03-01 20:15:00")
    assert (about["total_amount"], len(about["subject"])) == ("9.90", 256)


@pytest.mark.parametrize(("on_phone", "method"), [(False, "page"), (True, "wap")])
def test_a_page_is_a_signed_address_that_nobody_was_asked_for(on_phone, method):
    wanted = replace(WANTED, on_phone=on_phone, subject="ZYVAWG7TCHF")

    url = gateway(has_pages=True).create(wanted).url

    params = dict(parse_qsl(urlsplit(url).query))
    assert params["method"] == f"alipay.trade.{method}.pay"
    assert params["return_url"] == "https://shop.example/r"
    assert rsa.verify(signed_text(params), params["sign"], rsa.public_key(public_of(OURS)))
    assert OURS not in unquote(url)


def test_the_node_is_verified_as_it_was_sent():
    spaced = '{"code": "10000",  "out_trade_no":"A1","trade_no":"T", "total_amount":9.90,"x":"\\/}{",'
    spaced += '"trade_status":"TRADE_SUCCESS"}'

    assert says(QUERY, spaced).query(A1).amount_minor == 990


def test_an_answer_that_names_its_node_twice_is_read_where_it_is_signed():
    genuine = json.dumps(paid(trade_status="WAIT_BUYER_PAY"))
    sign = rsa.sign(genuine, rsa.private_key(THEIRS))
    body = f'{{"{QUERY}":{genuine},"{QUERY}":{json.dumps(paid())},"sign":"{sign}"}}'

    said = gateway(lambda request: httpx.Response(200, content=body.encode())).query(A1)

    assert not said.paid


@pytest.mark.parametrize("by", [STRANGERS, OURS])
def test_an_answer_that_the_platform_has_not_signed_is_none(by):
    with pytest.raises(GatewayError, match="signature"):
        says(QUERY, paid(), by).query(A1)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>",
        "[]",
        "{}",
        f'{{"{QUERY}":{{}}}}',
        f'{{"{QUERY}":[],"sign":"x"}}',
        '{"sign":"x"}',
        "{" * 9999,
    ],
)
def test_what_cannot_be_read_is_an_error(body):
    with pytest.raises(GatewayError):
        gateway(lambda request: httpx.Response(200, content=body.encode())).query(A1)


def test_a_trade_that_nobody_has_scanned_is_unknown():
    unknown = {"code": "40004", "sub_code": "ACQ.TRADE_NOT_EXIST", "sub_msg": "交易不存在"}

    assert says(QUERY, unknown).query(A1) is None


def test_an_answer_about_another_trade_is_an_error():
    with pytest.raises(GatewayError, match="another trade"):
        says(QUERY, paid(out_trade_no="A2")).query(A1)


def test_a_no_is_told_apart_from_trouble():
    with pytest.raises(GatewayRefused, match="商家"):
        says(PRECREATE, {"code": "40004", "sub_code": "ACQ.NOT_ALLOWED", "sub_msg": "商家无权限"}).create(
            WANTED
        )
    for trouble in (
        {"code": "20000", "msg": "Unavailable"},
        {"code": "40004", "sub_code": "ACQ.SYSTEM_ERROR"},
    ):
        with pytest.raises(GatewayError):
            says(PRECREATE, trouble).create(WANTED)


def test_a_key_of_ours_that_is_none_is_an_outage():
    with pytest.raises(Unreachable):
        gateway(secret="no key").query(A1)


@pytest.mark.parametrize(
    ("answer", "node"),
    [
        ('{"a":{"b":"}\\""} ,"sign":"x"}', '{"b":"}\\""}'),
        ('{"a": {"b":1},"sign":"x"}', '{"b":1}'),
        ('{"b":{}}', ""),
        ('{"a":{"b"', ""),
    ],
)
def test_the_text_of_a_node(answer, node):
    assert raw_node(answer, "a") == node
