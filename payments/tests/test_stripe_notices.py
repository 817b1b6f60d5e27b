"""Stripe's notices, against the signatures of Stripe's own package and every way in which they may lie."""

import hmac
import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stripe import WebhookSignature

from payments.gateways.base import BadNotice, RawCall
from payments.gateways.stripe_checkout import StripeGateway, is_genuine
from payments.tests.stripe_api import NOW, SECRET, SESSION, gateway
from tests.factories import NOON


def signed(body, *, at=NOW, secret=SECRET):
    v1 = hmac.new(secret.encode(), f"{at}.{body}".encode(), sha256).hexdigest()
    return f"t={at},v1={v1}"


def notice(*, header=None, event=None, **session):
    said = {
        "id": "evt_1",
        "object": "event",
        "type": "checkout.session.completed",
        "livemode": False,
        "data": {"object": {**SESSION, **session}},
        **(event or {}),
    }
    body = json.dumps(said)
    return RawCall("POST", "", body, {"stripe-signature": signed(body) if header is None else header})


def altered(call, **changes):
    return RawCall("POST", "", json.dumps({**json.loads(call.body), **changes}), call.headers)


def test_the_signature_of_the_libraries_own_tests_is_genuine():
    item = {
        "id": "ii_123",
        "object": "invoiceitem",
        "amount": 1000,
        "currency": "usd",
        "customer": "cus_123",
        "date": 1533204620,
        "description": "Test Invoice Item",
        "discountable": False,
        "invoice": "in_123",
        "livemode": False,
        "metadata": {},
        "period": {"start": 1533204620, "end": 1533204620},
        "plan": None,
        "proration": False,
        "quantity": None,
        "subscription": None,
    }
    event = {
        "id": "evt_123",
        "object": "event",
        "account": "acct_123",
        "api_version": "2017-05-25",
        "created": 1533204620,
        "data": {"object": item},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": "req_123", "idempotency_key": "idempotency-key-123"},
        "type": "invoiceitem.created",
    }
    v1 = "f0bdba6d4eacbd8ad8a3bbadd7248e633ec1477f7899c124c51b39405fa36613"
    v0 = "63f3a72374a733066c4be69ed7f8e5ac85c22c9f0a6a612ab9a025a9e4ee7eef"
    body, header = json.dumps(event, indent=2) + "\n", f"t=1533204620,v1={v1},v0={v0}"
    at = datetime.fromtimestamp(1533204620, UTC)

    assert is_genuine(body, header, "webhook_secret", at=at)
    assert not is_genuine(body.rstrip(), header, "webhook_secret", at=at)
    assert not is_genuine(body, header.replace(v1, v0), "webhook_secret", at=at)
    ours = gateway(webhook_secret="webhook_secret", merchant_id="acct_123")
    call = RawCall("POST", "", body, {"stripe-signature": header})
    assert ours.read_notice(call, at=at).evidence is None


@settings(deadline=None)
@given(body=st.text(), secret=st.text("abc", min_size=1), late=st.integers(-300, 300))
def test_what_stripes_package_signs_is_genuine(body, secret, late):
    header = WebhookSignature.generate_signature_header(body, secret, timestamp=NOW - late)

    assert is_genuine(body, header, secret, at=NOON)
    assert not is_genuine(body + " ", header, secret, at=NOON)
    assert not is_genuine(body, header, secret + "x", at=NOON)


PARTS = st.sampled_from(
    ["t", "v1", "v0", "=", ",", " ", str(NOW), "0", "_", "-", "½", signed("{}")[14:], "v1="]
)


@settings(deadline=None)
@given(header=st.lists(PARTS, max_size=12).map("".join))
def test_no_header_is_taken_that_stripes_package_refuses(header):
    if is_genuine("{}", header, SECRET, at=NOON):
        assert WebhookSignature.verify_header("{}", header, SECRET, tolerance=None)


def test_a_stamp_from_the_future_is_refused_here_and_taken_by_stripes_package(monkeypatch):
    monkeypatch.setattr("time.time", lambda: float(NOW))
    header = signed("{}", at=NOW + 301)

    assert WebhookSignature.verify_header("{}", header, SECRET, tolerance=300)
    assert not is_genuine("{}", header, SECRET, at=NOON)
    assert is_genuine("{}", signed("{}", at=NOW + 300), SECRET, at=NOON)


def test_a_paid_notice_is_read_and_is_proof():
    said = gateway().read_notice(notice(), at=NOON).evidence

    assert (said.paid, said.amount_minor, said.currency) == (True, 990, "CNY")
    assert (said.out_trade_no, said.provider_txn_id) == ("A1", "pi_1")
    assert StripeGateway.notice_is_proof


def test_money_that_came_later_is_money():
    late = notice(event={"type": "checkout.session.async_payment_succeeded"})

    assert gateway().read_notice(late, at=NOON).evidence.paid


NOT_PAID = {
    "not yet": {"payment_status": "unpaid"},
    "nothing to pay": {"payment_status": "no_payment_required"},
    "another word": {"payment_status": "Paid"},
    "no word": {"payment_status": None},
    "failed": {"event": {"type": "checkout.session.async_payment_failed"}},
    "expired": {"event": {"type": "checkout.session.expired"}},
}


@pytest.mark.parametrize("changes", NOT_PAID.values(), ids=NOT_PAID)
def test_a_signed_but_unpaid_notice_is_no_money(changes):
    assert gateway().read_notice(notice(**changes), at=NOON).evidence.paid is False


OTHERS = {
    "another event": {"event": {"type": "charge.refunded"}},
    "an event without a name": {"event": {"type": None}},
    "a link's session, with a number that its buyer chose": {"metadata": {}},
    "metadata of others": {"metadata": {"out_trade_no": ["A1"]}},
    "a number without end": {"metadata": {"out_trade_no": "1" * 33}},
    "no object": {"event": {"data": {}}},
    "no data": {"event": {"data": None}},
}


@pytest.mark.parametrize("changes", OTHERS.values(), ids=OTHERS)
def test_a_genuine_notice_about_something_else_is_no_evidence(changes):
    assert gateway().read_notice(notice(**changes), at=NOON).evidence is None


BODY = notice().body
HOSTILE = {
    "no signature": RawCall("POST", "", BODY),
    "an empty one": notice(header=""),
    "no stamp": notice(header=signed(BODY).partition(",")[2]),
    "two stamps": notice(header=f"t={NOW},{signed(BODY)}"),
    "a stamp in science": notice(header=signed(BODY).replace(str(NOW), "1e9")),
    "a stamp in other digits": notice(header=signed(BODY).replace(str(NOW), "١")),
    "stamped anew": notice(header=signed(BODY).replace(str(NOW), str(NOW + 1))),
    "too old": notice(header=signed(BODY, at=NOW - 301)),
    "too early": notice(header=signed(BODY, at=NOW + 301)),
    "the old scheme": notice(header=signed(BODY).replace("v1", "v0")),
    "another's secret": notice(header=signed(BODY, secret="whsec_other")),
    "no secret": notice(header=signed(BODY, secret="")),
    "cut short": notice(header=signed(BODY)[:-1]),
    "no hex": notice(header=f"t={NOW},v1=签名"),
    "altered afterwards": altered(notice(), id="evt_2"),
    "more after it": RawCall("POST", "", BODY + " ", notice().headers),
    "a form": RawCall("POST", "", "a=b", {"stripe-signature": signed("a=b")}),
    "a list": RawCall("POST", "", "[]", {"stripe-signature": signed("[]")}),
    "nested without end": RawCall("POST", "", "[" * 99999, {"stripe-signature": signed("[" * 99999)}),
    "no number": notice(event={"id": ""}),
    "in the query": RawCall("GET", BODY, "", notice().headers),
    "of live mode": notice(event={"livemode": True}),
    "of no mode": notice(event={"livemode": None}),
    "another account": notice(event={"account": "acct_2"}),
    "money as text": notice(amount_total="990"),
    "money in parts": notice(amount_total=990.0),
    "no money": notice(amount_total=0),
    "less than nothing": notice(amount_total=-1),
    "yes": notice(amount_total=True),
    "more than there is": notice(amount_total=10**13),
    "no currency": notice(currency=None),
    "a currency of nobody's": notice(currency="xxx"),
    "no transaction": notice(payment_intent=None),
    "a transaction without end": notice(payment_intent="p" * 65),
}


@pytest.mark.parametrize("call", HOSTILE.values(), ids=HOSTILE)
def test_a_notice_that_cannot_be_trusted_or_read_is_refused(call):
    with pytest.raises(BadNotice):
        gateway().read_notice(call, at=NOON)


def test_no_secret_of_ours_makes_nothing_genuine():
    with pytest.raises(BadNotice):
        gateway(webhook_secret="").read_notice(notice(header=signed(BODY, secret="")), at=NOON)


def test_a_live_key_takes_live_notices_only():
    live = gateway(api_key="rk_live_canary")

    assert live.read_notice(notice(event={"livemode": True}), at=NOON).evidence.paid
    with pytest.raises(BadNotice):
        live.read_notice(notice(), at=NOON)


def test_one_of_several_signatures_is_enough_while_the_secret_is_being_changed():
    old = signed(BODY, secret="whsec_old")

    assert gateway().read_notice(notice(header=f"{old},{signed(BODY).partition(',')[2]}"), at=NOON)


def test_an_event_that_is_sent_again_is_the_same_notice():
    later = RawCall("POST", "", BODY, {"stripe-signature": signed(BODY, at=NOW + 60)})
    read = gateway().read_notice

    assert read(later, at=NOON + timedelta(minutes=1)).digest == read(notice(), at=NOON).digest
    assert read(notice(event={"id": "evt_2"}), at=NOON).digest != read(notice(), at=NOON).digest
