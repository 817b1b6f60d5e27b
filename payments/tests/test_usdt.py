"""USDT: published vectors, the spelling of numbers, and what hostile callers send."""

import json
from dataclasses import replace
from decimal import Decimal

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardshop.common.clock import db_now
from cardshop.common.money import to_minor
from payments.gateways import usdt
from payments.gateways.base import BadNotice, GatewayError, RawCall
from payments.gateways.usdt import Number, as_sent, fixed, general
from payments.models import Receipt, WebhookEvent
from payments.services.notices import apply_notices
from payments.tests.usdt_providers import DIALECTS, bepusdt, epusdt, notice, tokenpay, wire
from payments.tests.wanted import WANTED
from tests.factories import NOON, make_channel


def read(dialect, call):
    return DIALECTS[dialect][0]().read_notice(call, at=NOON)


# Signatures


def test_the_published_vectors_sign_as_published():
    said = {
        "order_id": "20220201030210321",
        "amount": Number("42"),
        "notify_url": "http://example.com/notify",
        "redirect_url": "http://example.com/redirect",
    }
    for spelling in (fixed, general):
        signed = usdt.sign(said, "epusdt_password_xasddawqe", spelling=spelling)
        assert signed == "1cd4b52df5587cfb1968b0c0c6e156cd"


@pytest.mark.parametrize(
    ("said", "signature"),
    [
        (
            {
                "OutOrderId": "AJIHK72N34BR2CWG",
                "OrderUserKey": "admin@qq.com",
                "ActualAmount": Number("15"),
                "Currency": "TRX",
                "NotifyUrl": "http://localhost:1011/pay/tokenpay/notify_url",
                "RedirectUrl": "http://localhost:1011/pay/tokenpay/return_url?order_id=AJIHK72N34BR2CWG",
            },
            "e9765880db6081496456283678e70152",
        ),
        (
            {
                "ActualAmount": "15",
                "Amount": "34.91",
                "BaseCurrency": "CNY",
                "BlockChainName": "TRON",
                "BlockTransactionId": "375859c36dc5f5d227b10912b5ec70d36dd34446028064956cb60cdbb74432f5",
                "Currency": "TRX",
                "CurrencyName": "TRX",
                "FromAddress": "TYYjzt6AWhe9hAg9DrhiYXEWKDksyohgQa",
                "Id": "63234df7-55bf-93fc-0010-67be493c0c27",
                "OutOrderId": "E6COE6FGZMO5AXSK",
                "PayTime": "2022-09-15 16:08:39",
                "Status": Number("1"),
                "ToAddress": "TKGTx4pCKiKQbk8evXHTborfZn754TGViP",
            },
            "e5eaa888cd9e80b5c09a0698981757c8",
        ),
        ({"Id": "66f9d5a8-d9c7-0224-004f-a16a1c068e08"}, "baa261cc6af3f5efbed15e17a285f653"),
    ],
)
def test_tokenpays_published_vectors_sign_as_published(said, signature):
    assert usdt.sign(said, "666", spelling=as_sent) == signature


@pytest.mark.parametrize(
    ("number", "in_full", "in_science"),
    [
        ("2", "2", "2"),
        ("9.90", "9.9", "9.9"),
        ("10.0", "10", "10"),
        ("999999", "999999", "999999"),
        ("999999.99", "999999.99", "999999.99"),
        ("1000000", "1000000", "1e+06"),
        ("1000000.01", "1000000.01", "1.00000001e+06"),
        ("12345678.9", "12345678.9", "1.23456789e+07"),
        ("9999999999.99", "9999999999.99", "9.99999999999e+09"),
        ("1e21", "1000000000000000000000", "1e+21"),
        ("0.0001", "0.0001", "0.0001"),
        ("0.00001", "0.00001", "1e-05"),
        ("0", "0", "0"),
        ("-1.50", "-1.5", "-1.5"),
    ],
)
def test_numbers_are_spelt_as_go_spells_them(number, in_full, in_science):
    assert (fixed(number), general(number), as_sent(number)) == (in_full, in_science, number)


@given(st.integers(min_value=1, max_value=10**12))
def test_what_is_signed_for_any_price_is_that_price(minor):
    price = usdt.price_of(replace(WANTED, amount_minor=minor))

    assert to_minor(price, "CNY") == minor
    assert Decimal(fixed(price)) == Decimal(general(price)) == Decimal(price)
    [(_, sent)] = json.loads(json.dumps(usdt.to_send({"amount": price})), parse_float=str).items()
    assert str(sent) == price


@given(
    st.dictionaries(st.text(min_size=1), st.text(), max_size=6),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(min_size=1),
    st.sampled_from([fixed, general, as_sent]),
)
def test_whatever_is_signed_reads_back_and_only_under_its_key(params, number, secret, spelling):
    said = {k: v for k, v in params.items() if k.lower() != "signature"} | {"n": Number(repr(number))}
    signed = {**said, "signature": usdt.sign(said, secret, spelling=spelling)}

    back, _ = usdt.read_signed(wire(signed), secret, spelling=spelling, signature="signature")

    assert back == signed
    with pytest.raises(BadNotice, match="signature"):
        usdt.read_signed(wire(signed), secret + "x", spelling=spelling, signature="signature")


@given(st.binary(max_size=80))
def test_no_body_does_more_than_be_refused(body):
    for dialect in DIALECTS:
        with pytest.raises(BadNotice):
            read(dialect, RawCall("POST", "", body.decode(errors="replace")))


# Notices


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_paid_notice_is_read_under_the_number_of_the_trade(dialect):
    make, said, *_ = DIALECTS[dialect]

    told = read(dialect, notice(dialect)).evidence

    assert (told.paid, told.amount_minor, told.currency, told.out_trade_no) == (True, 990, "CNY", "A1")
    assert told.provider_txn_id == said.get("trade_id", said.get("Id"))
    assert make().notice_is_proof
    assert make().acknowledgement == "ok"


NOT_PAID = [
    ("epusdt", {"status": Number("1")}),
    ("epusdt", {"status": Number("3")}),
    ("bepusdt", {"status": Number("1")}),
    ("bepusdt", {"status": Number("3")}),
    ("bepusdt", {"status": Number("5")}),
    ("bepusdt", {"status": Number("2.0")}),
    ("bepusdt", {"status": ""}),
    ("tokenpay", {"Status": Number("0")}),
    ("tokenpay", {"Status": Number("2")}),
    ("tokenpay", {"Status": "Paid"}),
]


@pytest.mark.parametrize(("dialect", "changes"), NOT_PAID)
def test_a_signed_notice_of_another_status_is_no_money(dialect, changes):
    assert read(dialect, notice(dialect, **changes)).evidence.paid is False


@pytest.mark.parametrize("dialect", ["epusdt", "bepusdt"])
def test_a_million_is_read_in_either_dialect(dialect):
    call = notice(dialect, amount=Number("1000000"))

    assert read(dialect, call).evidence.amount_minor == 100_000_000
    other = {"epusdt": "bepusdt", "bepusdt": "epusdt"}[dialect]
    with pytest.raises(BadNotice, match="signature"):
        read(other, call)


def test_what_is_not_signed_makes_no_new_notice():
    plain = notice("bepusdt")
    padded = RawCall("POST", "", plain.body.replace("{", '{"memo": null, "note": "", ', 1))

    assert read("bepusdt", padded) == read("bepusdt", plain)
    assert read("bepusdt", plain).digest != read("bepusdt", notice("bepusdt", status=Number("1"))).digest


def altered(dialect, old, new):
    body = notice(dialect).body
    assert old in body
    return RawCall("POST", "", body.replace(old, new, 1))


def reflected(dialect, make, wanted=WANTED):
    """Our own signed call, sent back to us."""
    sent = []

    def answer(request):
        sent.append(request)
        return httpx.Response(500)

    with pytest.raises(GatewayError):
        make(answer).create(wanted)
    return dialect, RawCall("POST", "", sent[0].content.decode())


waiting = notice("bepusdt", status=Number("1"))
lifted = RawCall("POST", "", waiting.body.replace('"status":1', '"status":2'))
HOSTILE = {
    "no signature": ("epusdt", altered("epusdt", "signature", "sign")),
    "an empty signature": ("epusdt", notice("epusdt", signature="")),
    "no text for a signature": ("epusdt", notice("epusdt", signature=Number("1"))),
    "no hex": ("bepusdt", notice("bepusdt", signature="签名")),
    "half a character": ("bepusdt", RawCall("POST", "", '{"signature":"\\ud800"}')),
    "another shop's key": ("bepusdt", notice("bepusdt", "another")),
    "an empty key": ("bepusdt", notice("bepusdt", "")),
    "another word for the signature": ("tokenpay", altered("tokenpay", "Signature", "signature")),
    "a cent less": ("epusdt", altered("epusdt", "9.9", "9.89")),
    "yuan as fen": ("epusdt", altered("epusdt", "9.9", "990")),
    "a status lifted": ("bepusdt", lifted),
    "another order": ("bepusdt", altered("bepusdt", '"A1"', '"A2"')),
    "added to": ("bepusdt", altered("bepusdt", "{", '{"extra":"1",')),
    "a name twice": ("bepusdt", altered("bepusdt", "{", '{"amount":0.01,')),
    "an array": ("bepusdt", notice("bepusdt", drop=["amount"], amount=["9.9"])),
    "true": ("bepusdt", altered("bepusdt", "{", '{"paid":true,')),
    "no amount": ("bepusdt", notice("bepusdt", drop=["amount"])),
    "nothing to pay": ("bepusdt", notice("bepusdt", amount=Number("0"))),
    "less than nothing": ("bepusdt", notice("bepusdt", amount=Number("-9.9"))),
    "in science": ("epusdt", notice("epusdt", amount=Number("99e-1"))),
    "finer than a fen": ("epusdt", notice("epusdt", amount=Number("9.901"))),
    "as good as equal": ("epusdt", notice("epusdt", amount=Number("9.9000000000000001"))),
    "digits of another script": ("epusdt", notice("epusdt", amount="٩")),
    "not a number": ("bepusdt", altered("bepusdt", "9.9", "NaN")),
    "without end": ("bepusdt", altered("bepusdt", "9.9", "9" * 400)),
    "infinite": ("bepusdt", altered("bepusdt", "9.9", "1e999")),
    "no number of ours": ("bepusdt", notice("bepusdt", order_id="")),
    "ours without end": ("bepusdt", notice("bepusdt", order_id="A" * 33)),
    "no number of theirs": ("tokenpay", notice("tokenpay", Id="")),
    "theirs without end": ("tokenpay", notice("tokenpay", Id="x" * 65)),
    "theirs with a zero byte": ("tokenpay", notice("tokenpay", Id="x\0")),
    "no currency": ("tokenpay", notice("tokenpay", BaseCurrency="")),
    "a currency that is none": ("tokenpay", notice("tokenpay", BaseCurrency="TRX")),
    "deep": ("bepusdt", RawCall("POST", "", '{"a":' * 9999)),
    "a list": ("bepusdt", RawCall("POST", "", "[]")),
    "a form": ("bepusdt", RawCall("POST", "", "status=2&order_id=A1")),
    "nothing": ("epusdt", RawCall("POST", "", "")),
    "by GET": ("epusdt", RawCall("GET", notice("epusdt").body, "")),
    "our own order": reflected("epusdt", epusdt),
    "our own order again": reflected("bepusdt", bepusdt),
    "our own order once more": reflected("tokenpay", tokenpay),
}


@pytest.mark.parametrize(("dialect", "call"), HOSTILE.values(), ids=HOSTILE)
def test_a_notice_that_cannot_be_trusted_or_read_is_refused(dialect, call):
    with pytest.raises(BadNotice):
        read(dialect, call)


def test_money_in_another_currency_is_told_as_that():
    assert read("tokenpay", notice("tokenpay", BaseCurrency="USD")).evidence.currency == "USD"


@pytest.mark.django_db(transaction=True)
def test_strangers_are_told_no_and_leave_nothing_behind(client):
    for dialect in DIALECTS:
        make_channel(slug=dialect, driver=dialect, method="usdt")

    for name, (dialect, call) in HOSTILE.items():
        address = f"/pay/notify/{dialect}/"
        response = client.generic(call.method, address, call.body, content_type="application/json")
        assert (response.status_code, response.content) == (400, b"fail"), name

    assert not WebhookEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_is_no_money_is_acknowledged_once_kept_and_moves_nothing(client, dialect):
    make_channel(slug="usdt", driver=dialect, method="usdt")
    name = "Status" if dialect == "tokenpay" else "status"
    call = notice(dialect, **{name: Number("3")})

    for _ in range(3):  # as BEpusdt does every minute
        response = client.post("/pay/notify/usdt/", call.body, content_type="application/json")
        assert (response.status_code, response.content) == (200, b"ok")

    event = WebhookEvent.objects.get()
    assert apply_notices([event.pk], db_now()) == {}
    event.refresh_from_db()
    assert event.outcome == "not_paid"
    assert not Receipt.objects.exists()
