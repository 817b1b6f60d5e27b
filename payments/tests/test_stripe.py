"""The Stripe driver against a scripted API, its notices against the signatures of Stripe's own package."""

import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from urllib.parse import parse_qsl

import httpx
import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st
from stripe import WebhookSignature

from payments.gateways import exchange
from payments.gateways.base import (
    Ability,
    BadNotice,
    GatewayError,
    GatewayRefused,
    RawCall,
    RefundRequest,
    RefundState,
    Trade,
    Unreachable,
)
from payments.gateways.stripe_checkout import DRIVER, StripeGateway, is_genuine
from payments.tests.wanted import WANTED
from tests.factories import NOON

SECRET = "whsec_canary"
NOW = int(NOON.timestamp())
A1 = Trade(out_trade_no="A1", reference="cs_test_1")
SESSION = {
    "id": "cs_test_1",
    "object": "checkout.session",
    "amount_total": 990,
    "currency": "cny",
    "client_reference_id": "A1",
    "metadata": {"out_trade_no": "A1"},
    "payment_intent": "pi_1",
    "payment_status": "paid",
    "status": "complete",
    "url": "https://checkout.stripe.example/c/pay/cs_test_1#fid",
}
REFUND = RefundRequest(
    out_refund_no="R1",
    trade=replace(A1, provider_txn_id="pi_1"),
    paid_minor=990,
    amount_minor=90,
    currency="CNY",
    reason="",
    requested_at=NOON,
)


def gateway(answer=None, **changes):
    transport = httpx.MockTransport(answer or (lambda request: httpx.Response(500)))
    return StripeGateway(
        **{
            "base_url": "https://api.stripe.example/",
            "merchant_id": "acct_1",
            "api_key": "sk_test_canary",
            "webhook_secret": SECRET,
            "http": httpx.Client(transport=transport),
            **changes,
        }
    )


def says(*answers):
    """One answer after the other, the last one for ever: (status, JSON or text). `asked` are the calls."""
    left, asked = list(answers), []

    def answer(request):
        asked.append(request)
        status, said = left.pop(0) if len(left) > 1 else left[0]
        content = said if isinstance(said, str | bytes) else json.dumps(said)
        return httpx.Response(status, content=content)

    made = gateway(answer)
    return made, asked


def no(status, **about):
    return status, {"error": {"type": "invalid_request_error", "message": "No.", **about}}


def rows(*data, more=False):
    return 200, {"object": "list", "data": list(data), "has_more": more}


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


# Notices


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


@given(body=st.text(), secret=st.text("abc", min_size=1), late=st.integers(-300, 300))
def test_what_stripes_package_signs_is_genuine(body, secret, late):
    header = WebhookSignature.generate_signature_header(body, secret, timestamp=NOW - late)

    assert is_genuine(body, header, secret, at=NOON)
    assert not is_genuine(body + " ", header, secret, at=NOON)
    assert not is_genuine(body, header, secret + "x", at=NOON)


PARTS = st.sampled_from(
    ["t", "v1", "v0", "=", ",", " ", str(NOW), "0", "_", "-", "½", signed("{}")[14:], "v1="]
)


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


# Calls


def test_a_session_asks_for_just_that_money_and_names_it_in_three_places():
    made, asked = says((200, SESSION))

    page = made.create(WANTED)

    assert (page.url, page.reference) == (SESSION["url"], "cs_test_1")
    [request] = asked
    form = dict(parse_qsl(request.content.decode()))
    assert form["client_reference_id"] == form["metadata[out_trade_no]"] == "A1"
    assert form["payment_intent_data[metadata][out_trade_no]"] == "A1"
    assert request.headers["Idempotency-Key"] == "A1"
    assert form["line_items[0][price_data][unit_amount]"] == "990"
    assert form["line_items[0][price_data][currency]"] == "cny"
    assert form["adaptive_pricing[enabled]"] == "false"
    assert "notify" not in request.content.decode()
    assert request.headers["Accept-Encoding"] == "identity"
    assert "X-Stripe-Client-Telemetry" not in request.headers
    assert "telemetry_id" not in request.headers["X-Stripe-Client-User-Agent"]


@pytest.mark.parametrize("hold", [1, 15, 29, 60, 60 * 24])
def test_a_session_ends_half_an_hour_after_the_last_moment_it_may_be_asked_for(hold):
    made, asked = says((200, SESSION))

    made.create(replace(WANTED, expires_at=NOON + timedelta(minutes=hold)))

    form = dict(parse_qsl(asked[0].content.decode()))
    ends = datetime.fromtimestamp(int(form["expires_at"]), UTC)
    assert ends - NOON <= timedelta(hours=24)
    assert hold == 60 * 24 or ends - (NOON + timedelta(minutes=hold)) >= timedelta(minutes=30)


def test_yen_have_no_parts():
    made, asked = says((200, {**SESSION, "amount_total": 1500, "currency": "jpy"}))

    made.create(replace(WANTED, amount_minor=1500, currency="JPY"))

    form = dict(parse_qsl(asked[0].content.decode()))
    assert form["line_items[0][price_data][unit_amount]"] == "1500"
    assert (made.query(A1).amount_minor, made.query(A1).currency) == (1500, "JPY")


@given(minor=st.integers(1, 10**12), currency=st.sampled_from(["CNY", "USD", "JPY"]))
def test_an_amount_comes_back_as_it_was_asked_for(minor, currency):
    made, _ = says((200, {**SESSION, "amount_total": minor, "currency": currency.lower()}))

    said = made.query(A1)

    assert (said.amount_minor, said.currency) == (minor, currency)


@pytest.mark.parametrize("url", [None, "", "javascript:alert(1)", "weixin://x", ["https://x.example"]])
def test_a_page_that_no_buyer_should_be_led_to_is_an_error(url):
    with pytest.raises(GatewayError):
        says((200, {**SESSION, "url": url}))[0].create(WANTED)


def test_a_trade_is_asked_for_by_its_session():
    made, asked = says((200, SESSION))

    assert made.query(A1).provider_txn_id == "pi_1"
    assert asked[0].url.path == "/v1/checkout/sessions/cs_test_1"
    assert asked[0].headers["Authorization"] == "Bearer sk_test_canary"


def test_a_trade_without_a_session_is_unknown_and_nobody_is_asked():
    made, asked = says((200, SESSION))

    assert made.query(Trade(out_trade_no="A1")) is None
    assert asked == []


def test_a_session_that_is_not_there_is_unknown():
    assert says(no(404, code="resource_missing"))[0].query(A1) is None


def test_an_answer_about_another_trade_is_an_error():
    with pytest.raises(GatewayError, match="another trade"):
        says((200, {**SESSION, "metadata": {"out_trade_no": "A2"}}))[0].query(A1)


MEANS = {
    "a no": (no(400), GatewayRefused),
    "a card": ((402, {"error": {"type": "card_error", "message": "Declined."}}), GatewayRefused),
    "not allowed": (no(403), GatewayRefused),
    "our key": (no(401), GatewayError),
    "too many": (no(429), GatewayError),
    "another call with this key": ((400, {"error": {"type": "idempotency_error"}}), GatewayError),
    "the same call is under way": (no(409, code="idempotency_key_in_use"), GatewayError),
    "trouble": ((500, {"error": {"type": "api_error"}}), GatewayError),
    "trouble in front of it": ((503, ""), Unreachable),
    "elsewhere": ((302, ""), GatewayError),
    "no JSON": ((200, "<html>"), GatewayError),
    "a list": ((200, []), GatewayError),
    "a word": ((200, '"yes"'), GatewayError),
    "nothing": ((200, "null"), GatewayError),
    "no UTF-8": ((200, b"\xff"), GatewayError),
    "nested without end": ((200, "[" * 99999), GatewayError),
    "an error that is none": ((400, {"error": 5}), GatewayError),
    "an odd kind of object": ((200, {"object": ["x"], "id": {}}), GatewayError),
    "no number": ((200, {**SESSION, "id": None}), GatewayError),
    "a number without end": ((200, {**SESSION, "id": "c" * 121}), GatewayError),
}


@pytest.mark.parametrize(("said", "kind"), MEANS.values(), ids=MEANS)
def test_what_came_of_a_call_is_told_apart_and_it_is_made_once(said, kind):
    made, asked = says(said)

    with pytest.raises((GatewayError, GatewayRefused)) as raised:
        made.create(WANTED)

    assert type(raised.value) is kind
    assert len(str(raised.value)) <= 200
    assert len(asked) == 1


def test_who_does_not_answer_is_unreachable():
    def silence(request):
        raise httpx.ReadTimeout("canary")

    with pytest.raises(Unreachable):
        gateway(silence).create(WANTED)


def test_who_answers_too_much_or_too_slowly_is_cut_off(monkeypatch):
    monkeypatch.setattr(exchange, "MAX_ANSWER_BYTES", 10)
    with pytest.raises(GatewayError, match="too much"):
        says((200, SESSION))[0].query(A1)
    monkeypatch.setattr(exchange, "MAX_ANSWER_BYTES", 1_000_000)
    monkeypatch.setattr(exchange, "MAX_ANSWER_SECONDS", -1.0)
    with pytest.raises(Unreachable, match="too slowly"):
        says((200, SESSION))[0].query(A1)


def test_a_query_is_never_refused():
    for said in (no(400), no(403), no(404)):
        with pytest.raises(GatewayError):
            says(said)[0].query(A1)


def test_secrets_are_in_no_text():
    for text in (repr(gateway()), str(gateway())):
        assert "canary" not in text


# Closing


def test_an_open_session_is_closed():
    made, asked = says((200, {**SESSION, "status": "expired", "payment_status": "unpaid"}))

    assert made.close(A1)
    assert asked[0].url.path == "/v1/checkout/sessions/cs_test_1/expire"


CLOSED = {
    "over already": ({"status": "expired", "payment_status": "unpaid"}, True),
    "money is under way": ({"status": "complete", "payment_status": "unpaid"}, False),
    "open all the same": ({"status": "open", "payment_status": "unpaid"}, False),
}


@pytest.mark.parametrize(("session", "is_closed"), CLOSED.values(), ids=CLOSED)
def test_a_session_that_cannot_be_closed_is_looked_at(session, is_closed):
    assert says(no(400), (200, {**SESSION, **session}))[0].close(A1) is is_closed


def test_a_paid_session_cannot_be_closed():
    with pytest.raises(GatewayRefused, match="paid"):
        says(no(400), (200, SESSION))[0].close(A1)


def test_what_is_not_known_is_not_promised_to_be_closed():
    assert says(no(404, code="resource_missing"))[0].close(A1) is False
    assert gateway().close(Trade(out_trade_no="A1")) is False


# Refunds


def refund(**changes):
    return {
        "id": "re_1",
        "object": "refund",
        "amount": 90,
        "currency": "cny",
        "payment_intent": "pi_1",
        "status": "succeeded",
        "metadata": {"out_refund_no": "R1"},
        **changes,
    }


def test_a_refund_is_looked_for_and_then_made_under_its_number():
    made, asked = says(rows(), (200, refund()))

    assert made.refund(REFUND) == RefundState.DONE

    form = dict(parse_qsl(asked[1].content.decode()))
    assert form == {"payment_intent": "pi_1", "amount": "90", "metadata[out_refund_no]": "R1"}
    assert asked[1].headers["Idempotency-Key"] == "R1"


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("succeeded", RefundState.DONE),
        ("pending", RefundState.UNDER_WAY),
        ("requires_action", RefundState.UNDER_WAY),
        ("failed", RefundState.FAILED),
        ("canceled", RefundState.FAILED),
    ],
)
def test_a_refund_that_was_made_before_is_not_made_again(status, state):
    made, asked = says(rows(refund(metadata={}), refund(status=status)))

    assert made.refund(REFUND) == made.ask_refund(REFUND) == state
    assert {request.method for request in asked} == {"GET"}


def test_a_refund_whose_answer_was_lost_is_found_and_not_made_again():
    made, asked = says(rows(), (500, ""), rows(refund()))
    with pytest.raises(GatewayError):
        made.refund(REFUND)

    assert made.refund(REFUND) == RefundState.DONE
    assert [request.method for request in asked] == ["GET", "POST", "GET"]


def test_a_refund_on_a_later_page_is_found():
    made, asked = says(rows(refund(id="re_9", metadata={}), more=True), rows(refund()))

    assert made.ask_refund(REFUND) == RefundState.DONE
    assert asked[1].url.params["starting_after"] == "re_9"


def test_a_refund_that_nobody_made_is_unknown():
    assert says(rows())[0].ask_refund(REFUND) is None


def test_a_refund_is_refused_in_clear_or_nobody_knows():
    with pytest.raises(GatewayRefused, match="No"):
        says(rows(), no(400, code="charge_already_refunded"))[0].refund(REFUND)
    for trouble in ((500, ""), (200, refund(status="lost"))):
        with pytest.raises(GatewayError):
            says(rows(), trouble)[0].refund(REFUND)
    with pytest.raises(GatewayError):
        says(no(400))[0].refund(REFUND)


# Lists


def test_a_statement_is_of_one_day_and_leaves_out_what_is_not_ours():
    charge = {
        "id": "ch_1",
        "status": "succeeded",
        "amount_captured": 990,
        "currency": "cny",
        "payment_intent": "pi_1",
        "metadata": {"out_trade_no": "A1"},
    }
    others = [{**charge, "metadata": {}}, {**charge, "status": "failed"}]
    intent = {"id": "pi_1", "metadata": {"out_trade_no": "A1"}}
    by_hand = refund(id="re_2", payment_intent=intent, metadata={})
    foreign = refund(payment_intent={"id": "pi_2", "metadata": {}})
    made, asked = says(
        rows(charge, *others), rows(refund(payment_intent=intent), by_hand, foreign, refund(status="failed"))
    )

    paid, *back = made.statement(NOON.date())

    assert (paid.out_trade_no, paid.provider_txn_id, paid.amount_minor) == ("A1", "pi_1", 990)
    assert [(each.out_refund_no, each.provider_txn_id, each.amount_minor) for each in back] == [
        ("R1", "pi_1", 90),
        ("re_2", "pi_1", 90),
    ]
    begin = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    for request in asked:
        created = {name: int(request.url.params[f"created[{name}]"]) for name in ("gte", "lt")}
        assert created == {"gte": begin, "lt": begin + 86_400}


def test_all_trades_are_those_of_ours_that_were_paid():
    unpaid, foreign = {**SESSION, "payment_status": "unpaid"}, {**SESSION, "metadata": None}
    made, _ = says(rows(SESSION, unpaid, foreign))

    assert [each.provider_txn_id for each in made.trades()] == ["pi_1"]


def test_a_list_that_is_none_is_an_error():
    for said in ((200, {}), (200, {"data": [1]}), (200, {"data": {}}), no(400)):
        with pytest.raises(GatewayError):
            list(says(said)[0].trades())


def test_the_driver_says_what_it_wants_and_what_it_can():
    assert DRIVER.secret_names == ["api_key", "webhook_secret"]
    assert StripeGateway.can == set(Ability)
    checks = {setting.name: setting.check for setting in DRIVER.settings}
    for name, good, bad in (
        ("merchant_id", "acct_1", "1"),
        ("api_key", "sk_test_1", "pk_test_1"),
        ("webhook_secret", "whsec_1", "sk_test_1"),
    ):
        checks[name](good)
        with pytest.raises(ValueError, match="begins with"):
            checks[name](bad)


def test_stripes_package_measures_nothing():
    assert stripe.enable_telemetry is False
