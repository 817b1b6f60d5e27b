"""The EPay v1 driver, against published behaviour and a scripted provider."""

from dataclasses import replace
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.gateways.base import BadNotice, GatewayError, GatewayRefused, PayPage, RawCall
from payments.gateways.epay import EpayGateway, cut_bytes, sign, verify
from payments.tests.wanted import A1, WANTED
from tests.factories import NOON, SECRET

PAID = {
    "money": "1",
    "name": "VIP会员",
    "out_trade_no": "20160806151343349",
    "pid": "1001",
    "trade_no": "20160806151343349021",
    "trade_status": "TRADE_SUCCESS",
    "type": "alipay",
}


def gateway(answer=None, **changes):
    """A driver whose provider answers every call with `answer(request)`."""
    transport = httpx.MockTransport(answer or (lambda request: httpx.Response(500)))
    return EpayGateway(
        base_url="https://pay.example/epay/",
        merchant_id="1001",
        secret=SECRET,
        method="alipay",
        http=httpx.Client(transport=transport),
        **changes,
    )


def says(**body):
    return gateway(lambda request: httpx.Response(200, json=body))


def notice(params=PAID, **changes):
    params = {**params, **changes}
    params.setdefault("sign", sign(params, SECRET))
    return RawCall("GET", urlencode(params), "")


def test_a_vector_worked_out_by_the_originals_rules_signs_like_that():
    assert sign(PAID, SECRET) == "d234c00c90982004526450b6a5e31089"


def test_signature_fields_and_empty_values_are_not_signed():
    assert sign({**PAID, "sign": "x", "sign_type": "MD5", "param": " "}, SECRET) == sign(PAID, SECRET)


@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=6), st.text(min_size=1))
def test_whatever_is_signed_verifies_and_only_then(params, secret):
    signed = {**params, "sign": sign(params, secret)}

    assert verify(signed, secret)
    assert not verify({**signed, "sign": signed["sign"][::-1] + "é"}, secret)


def test_a_paid_notice_is_read():
    said = gateway().read_notice(notice(), at=NOON).evidence

    assert (said.paid, said.amount_minor, said.out_trade_no) == (True, 100, "20160806151343349")
    assert said.provider_txn_id == "20160806151343349021"


def test_a_signed_but_unpaid_notice_is_no_money():
    assert gateway().read_notice(notice(trade_status="WAIT_BUYER_PAY"), at=NOON).evidence.paid is False


@pytest.mark.parametrize(
    "call",
    [
        notice(sign=""),
        notice(sign="d234c00c90982004526450b6a5e31089", money="2"),
        notice(sign="é"),
        notice(pid="1002"),
        notice(money="1e3"),
        notice(money="-1"),
        notice(money="٣"),
        notice(out_trade_no=""),
        notice(trade_no="x" * 65),
        RawCall("GET", notice().query + "&money=0.01", ""),
        RawCall("GET", "", ""),
        RawCall("GET", "&".join(f"a{n}=1" for n in range(60)), ""),
        RawCall("POST", "", notice().query),
    ],
)
def test_a_notice_that_cannot_be_trusted_or_read_is_refused(call):
    with pytest.raises(BadNotice):
        gateway().read_notice(call, at=NOON)


def test_a_notice_signed_with_another_secret_is_refused():
    with pytest.raises(BadNotice, match="signature"):
        gateway().read_notice(notice(sign=sign(PAID, "another")), at=NOON)


def test_creating_signs_the_request_and_cuts_the_name_to_127_bytes():
    seen = {}

    def answer(request):
        seen.update(httpx.QueryParams(request.content.decode()))
        return httpx.Response(200, json={"code": 1, "payurl": "https://pay.example/p/1"})

    assert gateway(answer).create(WANTED) == PayPage(url="https://pay.example/p/1")
    assert verify(seen, SECRET)
    assert (seen["money"], len(seen["name"].encode())) == ("9.90", 126)


def test_the_provider_refusing_is_told_apart_from_the_provider_failing():
    with pytest.raises(GatewayRefused, match="closed"):
        says(code=-1, msg="closed").create(WANTED)
    for broken in (
        gateway(lambda request: httpx.Response(502)),
        gateway(lambda request: httpx.Response(200, text="<html>")),
        gateway(lambda request: httpx.Response(200, text="[]")),
        says(code=1),
        says(code=1, payurl="javascript:alert(1)"),
        says(code=1, payurl="https://pay.example/" + 4000 * "x"),
        says(code=1, urlscheme="javascript:alert(1)"),
        says(code=1, urlscheme="weixin://pay\njavascript:alert(1)"),
        says(code=1, urlscheme="https://pay.example/"),
        says(code=1, qrcode=4001 * "x"),
    ):
        with pytest.raises(GatewayError):
            broken.create(WANTED)


@pytest.mark.parametrize(
    ("said", "page"),
    [
        ({"payurl": "https://pay.example/p/1"}, PayPage(url="https://pay.example/p/1")),
        ({"qrcode": "weixin://wxpay/bizpayurl?pr=1"}, PayPage(qr="weixin://wxpay/bizpayurl?pr=1")),
        ({"urlscheme": "alipays://platformapi/"}, PayPage(app_url="alipays://platformapi/")),
    ],
)
def test_one_pays_on_a_page_by_scanning_or_in_an_app(said, page):
    assert says(code=1, **said).create(WANTED) == page


def test_a_kept_connection_that_was_closed_under_us_costs_nothing():
    answers = iter([httpx.ReadError("reset"), httpx.Response(200, json={"code": -1})])

    def answer(request):
        if isinstance(said := next(answers), Exception):
            raise said
        return said

    assert gateway(answer).query(A1) is None


def test_another_currency_is_refused_before_anybody_is_asked():
    with pytest.raises(GatewayRefused, match="CNY"):
        gateway().create(replace(WANTED, currency="USD"))


def test_a_query_tells_paid_from_unpaid_from_unknown():
    paid = {"code": 1, "out_trade_no": "A1", "trade_no": "T1", "money": "9.9", "status": 1}

    assert says(**paid).query(A1).paid
    assert says(**paid).query(A1).amount_minor == 990
    assert not says(**{**paid, "status": 0}).query(A1).paid
    assert says(code=-1, msg="no such order").query(A1) is None


def test_a_query_never_believes_an_answer_about_another_trade_or_a_refusal():
    with pytest.raises(GatewayError):
        says(code=1, out_trade_no="A2", trade_no="T", money="9.9", status=1).query(A1)
    with pytest.raises(GatewayError):
        says(code=-3, msg="bad key").query(A1)


def test_no_error_quotes_the_key():
    def drop(request):
        raise httpx.ConnectTimeout(f"cannot reach {request.url}")

    with pytest.raises(GatewayError) as failed:
        gateway(drop).query(A1)
    assert SECRET not in str(failed.value)
    assert SECRET not in repr(gateway())
    assert failed.value.__cause__ is None


@pytest.mark.parametrize("understood", ["offset", "page", "neither"])
def test_a_statement_is_read_to_its_end_whatever_the_provider_makes_of_pages(understood):
    trades = [
        {"out_trade_no": "A", "trade_no": f"T{number}", "money": "1", "status": number % 3}
        for number in range(120)
    ]

    def answer(request):
        asked = request.url.params
        start = {"offset": int(asked["offset"]), "page": 50 * (int(asked["page"]) - 1), "neither": 0}
        rows = trades[start[understood] :][:50]
        return httpx.Response(200, json={"code": 1, "data": rows})

    listed = list(gateway(answer).trades())

    assert len(listed) == (50 if understood == "neither" else 120)
    assert [said.paid for said in listed[:3]] == [False, True, True]


def test_an_answer_without_end_is_cut_off(monkeypatch):
    monkeypatch.setattr("payments.gateways.exchange.MAX_ANSWER_BYTES", 1000)

    with pytest.raises(GatewayError, match="too much"):
        gateway(lambda request: httpx.Response(200, content=b"x" * 1001)).query(A1)


@given(st.text(), st.integers(0, 40))
def test_cutting_never_breaks_a_character(text, limit):
    assert text.startswith(cut_bytes(text, limit))
    assert len(cut_bytes(text, limit).encode()) <= limit
