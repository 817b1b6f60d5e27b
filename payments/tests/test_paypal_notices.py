"""PayPal's notices: real signatures, real certificates, and every way in which they may lie."""

import json
import socket
import time
from dataclasses import replace
from datetime import timedelta
from zlib import crc32

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from cardshop.common.deadline import DeadlineTransport
from payments.gateways import paypal, rsa
from payments.gateways.base import BadNotice, CannotTell, RawCall
from payments.gateways.paypal import PayPalGateway, signed_text
from payments.gateways.paypal_certificates import MOST_FAILURES, PATIENCE, Certificates, is_from
from payments.tests.paypal_api import BASE, CAPTURE, nothing_is_remembered, order, says  # noqa: F401
from tests.factories import NOON, make_channel

THEIRS, STRANGERS = rsa.new_key(), rsa.new_key()
CERT = "https://api.paypal.com/v1/notifications/certs/CERT-1-a_b"


def certificate(key=THEIRS, *, name="messageverificationcerts.paypal.com", begin=-1, end=1):
    """PEM, of use from `begin` to `end` days after NOON."""
    signing = rsa.private_key(key) if isinstance(key, str) else key
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(signing.public_key())
        .serial_number(1)
        .not_valid_before(NOON + timedelta(days=begin))
        .not_valid_after(NOON + timedelta(days=end))
        .sign(signing, SHA256())
    )
    return made.public_bytes(Encoding.PEM)


def body_of(event="PAYMENT.CAPTURE.COMPLETED", **resource):
    return json.dumps({"id": "WH-1", "event_type": event, "resource": {**CAPTURE, **resource}})


def notice(body=None, *, by=THEIRS, webhook="5GP028458E2496506", headers=None, **resource):
    body = body_of(**resource) if body is None else body
    signed = {
        "paypal-transmission-id": "69cd13f0-d67a-11e5",
        "paypal-transmission-time": "2026-03-01T12:00:00Z",
    }
    text = signed_text(signed, body, webhook)
    signature = rsa.sign(text, rsa.private_key(by))
    more = {
        "paypal-auth-algo": "SHA256withRSA",
        "paypal-cert-url": CERT,
        "paypal-transmission-sig": signature,
    }
    return RawCall("POST", "", body, {**signed, **more, **(headers or {})})


def reads(call, *, pem=None, at=NOON, **changes):
    made, asked = says((200, certificate() if pem is None else pem), **changes)
    return made.read_notice(call, at=at), asked


def test_a_capture_is_read_and_is_no_proof():
    said, asked = reads(notice())

    assert (said.evidence.paid, said.evidence.amount_minor, said.evidence.currency) == (True, 990, "USD")
    assert (said.evidence.out_trade_no, said.evidence.provider_txn_id) == ("A1", "3C679366HH908993F")
    assert not PayPalGateway.notice_is_proof
    assert [str(request.url) for request in asked] == [CERT]
    assert "Authorization" not in asked[0].headers


def test_the_text_that_is_signed():
    headers = {"paypal-transmission-id": "i", "paypal-transmission-time": "t"}

    assert signed_text(headers, "{}", "W") == f"i|t|W|{crc32(b'{}')}" == "i|t|W|2745614147"


NOT_PAID = [
    {"event": "PAYMENT.CAPTURE.PENDING", "status": "PENDING"},
    {"event": "PAYMENT.CAPTURE.PENDING"},
    {"event": "PAYMENT.CAPTURE.DENIED", "status": "DECLINED"},
    {"status": "PENDING"},
    {"status": ["COMPLETED"]},
    {"status": None},
]


@pytest.mark.parametrize("changes", NOT_PAID)
def test_a_signed_but_unpaid_notice_is_no_money(changes):
    assert reads(notice(**changes))[0].evidence.paid is False


@pytest.mark.parametrize(
    "changes",
    [
        {"event": "CHECKOUT.ORDER.APPROVED"},
        {"event": "PAYMENT.CAPTURE.REFUNDED"},
        {"event": None},
        {"custom_id": None},
        {"custom_id": "another system's / 5"},
        {"custom_id": "1" * 33},
    ],
)
def test_a_genuine_notice_about_something_else_is_no_evidence(changes):
    assert reads(notice(**changes))[0].evidence is None


def test_an_approved_order_is_no_proof_of_anything():
    said = json.dumps({"event_type": "CHECKOUT.ORDER.APPROVED", "resource": order("APPROVED")[1]})

    assert reads(notice(said))[0].evidence is None


def header(name, value):
    return notice(headers={f"paypal-{name}": value})


HOSTILE = {
    "no signature": header("transmission-sig", ""),
    "no base64": header("transmission-sig", "签名"),
    "another's key": notice(by=STRANGERS),
    "another webhook": notice(webhook="OTHER"),
    "another transmission": header("transmission-id", "other"),
    "another time": header("transmission-time", "2026-03-01T12:00:01Z"),
    "a bar in the number": header("transmission-id", "a|b"),
    "no number": header("transmission-id", ""),
    "an older algorithm": header("auth-algo", "SHA1withRSA"),
    "no algorithm": header("auth-algo", ""),
    "altered afterwards": replace(notice(), body=body_of(amount={"currency_code": "USD", "value": "0.01"})),
    "more after it": replace(notice(), body=notice().body + " "),
    "not JSON": notice("a=b"),
    "a list": notice("[]"),
    "nested without end": notice("[" * 99999),
    "money in science": notice(amount={"currency_code": "USD", "value": "1e3"}),
    "money as a number": notice(amount={"currency_code": "USD", "value": True}),
    "less than nothing": notice(amount={"currency_code": "USD", "value": "-9.90"}),
    "no money": notice(amount={"currency_code": "USD", "value": "0.00"}),
    "finer than cents": notice(amount={"currency_code": "USD", "value": "9.901"}),
    "parts of a yen": notice(amount={"currency_code": "JPY", "value": "9.90"}),
    "a currency of nobody's": notice(amount={"currency_code": "XXX", "value": "9.90"}),
    "no amount": notice(amount=None),
    "no transaction": notice(id=None),
    "a transaction without end": notice(id="x" * 65),
}


@pytest.mark.parametrize("call", HOSTILE.values(), ids=HOSTILE)
def test_a_notice_that_cannot_be_trusted_or_read_is_refused(call):
    with pytest.raises(BadNotice):
        reads(call)


def test_without_a_webhook_of_ours_nothing_is_genuine():
    with pytest.raises(BadNotice):
        reads(notice(webhook=""), webhook_id="")


def test_a_body_that_has_the_same_checksum_is_the_same_notice_and_has_to_be_asked_about():
    """Four bytes that make another body fit: CRC32 is no protection, and the driver does not think so."""
    genuine = notice()
    forged = body_of(amount={"currency_code": "USD", "value": "999.00"}) + " "
    forged = with_checksum(forged.encode(), crc32(genuine.body.encode()))

    said, _ = reads(replace(genuine, body=forged))

    assert said.evidence.amount_minor == 99900
    assert said.digest == reads(genuine)[0].digest
    assert not PayPalGateway.notice_is_proof


def with_checksum(body, wanted):
    """The body with blanks and tabs after it, so that it has that CRC32: one bit each, solved over GF(2)."""
    width = 80
    zero = crc32(body + b" " * width)
    flips = [crc32(body + b" " * i + b"\t" + b" " * (width - i - 1)) ^ zero for i in range(width)]
    rows = [(flip, 1 << i) for i, flip in enumerate(flips)]
    target, chosen = wanted ^ zero, 0
    for bit in range(31, -1, -1):
        pivot = next((row for row in rows if row[0] >> bit & 1), None)
        if pivot is None:
            assert not target >> bit & 1
            continue
        rows = [
            (row[0] ^ pivot[0], row[1] ^ pivot[1]) if row[0] >> bit & 1 else row
            for row in rows
            if row is not pivot
        ]
        if target >> bit & 1:
            target, chosen = target ^ pivot[0], chosen ^ pivot[1]
    tail = bytes(9 if chosen >> i & 1 else 32 for i in range(width))
    assert crc32(body + tail) == wanted
    return (body + tail).decode()


PLACES = {
    "https://api-m.paypal.com/v1/notifications/certs/CERT-1": True,
    "https://api.paypal.com/v1/notifications/certs/CERT-1": True,
    "http://api.paypal.com/v1/notifications/certs/CERT-1": False,
    "https://api.paypal.com:8443/v1/notifications/certs/CERT-1": False,
    "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-1": False,
    "https://www.paypal.com/v1/notifications/certs/CERT-1": False,
    "https://api.paypal.com.evil.example/v1/notifications/certs/CERT-1": False,
    "https://api.paypal.com@evil.example/v1/notifications/certs/CERT-1": False,
    "https://evil.example/?https://api.paypal.com/v1/notifications/certs/CERT-1": False,
    "https://api.paypal.com/v1/notifications/certs/../../oauth2/token": False,
    "https://api.paypal.com/v1/notifications/certs/a%2e": False,
    "https://api.paypal.com/v1/notifications/certs/a?b": False,
    "https://api.paypal.com/v1/notifications/certs/a\n": False,
    "https://api.paypal.com/v1/notifications/certs/": False,
    "https://API.paypal.com/v1/notifications/certs/CERT-1": False,
    "file:///etc/passwd": False,
    "": False,
}


@pytest.mark.parametrize(("url", "is_theirs"), PLACES.items(), ids=lambda each: str(each)[-50:])
def test_only_certificates_that_lie_where_the_api_lies_are_looked_at(url, is_theirs):
    call = notice(headers={"paypal-cert-url": url})

    assert is_from(BASE, url) is is_theirs
    if is_theirs:
        assert reads(call)[0].evidence.paid
    else:
        made, asked = says((200, certificate()))
        with pytest.raises(BadNotice):
            made.read_notice(call, at=NOON)
        assert asked == []


@pytest.mark.parametrize(
    "pem",
    [
        certificate(end=0, begin=-3),
        certificate(begin=1, end=3),
        certificate(name="evil.example"),
        certificate(name="paypal.com.evil.example"),
        certificate(generate_private_key(SECP256R1())),
        b"",
        b"<html>",
        certificate()[:200],
    ],
    ids=[
        "past",
        "not yet",
        "another name",
        "a longer name",
        "another kind of key",
        "nothing",
        "a page",
        "half",
    ],
)
def test_a_certificate_that_is_not_paypals_or_not_of_today_is_none(pem):
    with pytest.raises(BadNotice):
        reads(notice(), pem=pem, at=NOON + timedelta(hours=1))


def test_a_certificate_is_fetched_once():
    made, asked = says((200, certificate()))

    for _ in range(3):
        assert made.read_notice(notice(), at=NOON)

    assert len(asked) == 1


def test_an_address_of_nothing_is_asked_once_and_however_many_there_are_the_real_one_is_found():
    def answer(request):
        asked.append(str(request.url))
        return httpx.Response(200, content=certificate()) if asked[-1] == CERT else httpx.Response(404)

    asked, certificates = [], Certificates()
    http = httpx.Client(transport=httpx.MockTransport(answer))
    for number in range(MOST_FAILURES + 1):
        for _ in range(2):
            with pytest.raises(CannotTell):
                certificates.key(http, f"{CERT}{number}", at=NOON)

    assert len(asked) == MOST_FAILURES + 1
    assert certificates.key(http, CERT, at=NOON)
    assert len(certificates._failed) == MOST_FAILURES


def test_nobody_waits_for_a_certificate_that_another_thread_fetches():
    made, asked = says((200, certificate()))
    began = time.monotonic()

    with paypal._certificates._fetching, pytest.raises(CannotTell):
        made.read_notice(notice(), at=NOON)

    assert time.monotonic() - began < 1
    assert asked == []
    assert made.read_notice(notice(), at=NOON).evidence.paid


def test_a_certificate_that_does_not_come_is_not_waited_for_long():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        began = time.monotonic()

        with pytest.raises(CannotTell):
            Certificates().key(httpx.Client(transport=DeadlineTransport(), timeout=8), url, at=NOON)

    assert time.monotonic() - began < PATIENCE + 1


@pytest.mark.django_db(transaction=True)
def test_paypal_is_told_to_come_again(client):
    channel = make_channel(
        slug="paypal",
        driver="paypal",
        method="paypal",
        base_url="https://api-m.paypal.com/",
        options={"webhook_id": "5GP028458E2496506"},
    )
    call = notice()
    headers = {name.title(): value for name, value in call.headers.items()}

    with paypal._certificates._fetching:
        answer = client.post(
            f"/pay/notify/{channel.slug}/", call.body, content_type="application/json", headers=headers
        )

    assert (answer.status_code, answer["Retry-After"]) == (503, "5")


def test_a_certificate_is_looked_for_again_after_a_while(monkeypatch):
    made, asked = says((503, ""), (200, certificate()))
    with pytest.raises(BadNotice):
        made.read_notice(notice(), at=NOON)

    monkeypatch.setattr("payments.gateways.paypal_certificates.time.monotonic", lambda: 10.0**9)

    assert made.read_notice(notice(), at=NOON).evidence.paid
    assert len(asked) == 2
