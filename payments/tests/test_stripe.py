"""The Stripe driver against a scripted API."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import httpx
import pytest
import stripe
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.gateways import exchange
from payments.gateways.base import (
    Ability,
    GatewayError,
    GatewayRefused,
    RefundRequest,
    RefundState,
    Trade,
    Unreachable,
)
from payments.gateways.stripe_checkout import DRIVER, StripeGateway
from payments.tests.stripe_api import A1, SESSION, gateway, no, rows, says
from payments.tests.wanted import WANTED
from tests.factories import NOON

REFUND = RefundRequest(
    out_refund_no="R1",
    trade=replace(A1, provider_txn_id="pi_1"),
    paid_minor=990,
    amount_minor=90,
    currency="CNY",
    reason="",
    requested_at=NOON,
)


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


@settings(deadline=None)
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


def test_what_was_refunded_is_seen_by_the_charge_behind_the_session():
    charge = {"id": "ch_1", "amount_refunded": 0}
    session = {**SESSION, "payment_intent": {"id": "pi_1", "latest_charge": charge}}
    made, asked = says((200, session), (200, {**session, "payment_intent": {"id": "pi_1"}}))

    assert not made.query(A1).gone_back
    assert asked[0].url.params["expand[0]"] == "payment_intent.latest_charge"
    assert not made.query(A1).gone_back
    charge["amount_refunded"] = 1
    made, _ = says((200, session))
    assert (made.query(A1).provider_txn_id, made.query(A1).gone_back) == ("pi_1", True)


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


def test_who_answers_too_much_is_cut_off(monkeypatch):
    monkeypatch.setattr(exchange, "MAX_ANSWER_BYTES", 10)
    with pytest.raises(GatewayError, match="too much"):
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
        rows(charge, *others),
        rows(
            refund(payment_intent=intent),
            by_hand,
            foreign,
            refund(payment_intent=intent, status="failed"),
            refund(id="re_4", payment_intent=intent, status="pending"),
        ),
    )

    paid, *back = made.statement(NOON.date())

    assert (paid.out_trade_no, paid.provider_txn_id, paid.amount_minor) == ("A1", "pi_1", 990)
    assert [(each.out_refund_no, each.provider_txn_id, each.amount_minor, each.state) for each in back] == [
        ("R1", "pi_1", 90, RefundState.DONE),
        ("re_2", "pi_1", 90, RefundState.DONE),
        ("R1", "pi_1", 90, RefundState.UNDER_WAY),
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
    for name, begins, good, bad in (
        ("merchant_id", "acct_", "acct_1", "1"),
        ("api_key", "sk_", "sk_test_1", "pk_test_1"),
        ("webhook_secret", "whsec_", "whsec_1", "sk_test_1"),
    ):
        checks[name](good)
        with pytest.raises(ValueError, match=begins):
            checks[name](bad)


def test_stripes_package_measures_nothing():
    assert stripe.enable_telemetry is False
