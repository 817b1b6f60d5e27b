"""The PayPal driver against a scripted API."""

import json
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardshop.common.money import to_text
from payments.gateways.base import (
    Ability,
    GatewayError,
    GatewayRefused,
    RefundRequest,
    RefundState,
    Trade,
    Unreachable,
)
from payments.gateways.paypal import DRIVER, PayPalGateway
from payments.tests.paypal_api import (  # noqa: F401
    A1,
    CAPTURE,
    ORDER_PATH,
    gateway,
    no,
    nothing_is_remembered,
    order,
    says,
)
from payments.tests.wanted import WANTED
from tests.factories import NOON

REFUND = RefundRequest(
    out_refund_no="R1",
    trade=replace(A1, provider_txn_id="3C679366HH908993F"),
    paid_minor=990,
    amount_minor=90,
    currency="USD",
    reason="",
    requested_at=NOON,
)


def test_an_order_asks_for_just_that_money_under_our_number():
    made, asked = says(order("PAYER_ACTION_REQUIRED", captures=()))

    page = made.create(WANTED)

    assert (page.url, page.reference) == ("https://paypal.example/a", "5O190127TN364715T")
    [request] = asked
    said = json.loads(request.content)
    [unit] = said["purchase_units"]
    assert said["intent"] == "CAPTURE"
    assert (unit["custom_id"], unit["invoice_id"]) == ("A1", "A1")
    assert unit["amount"] == {"currency_code": "CNY", "value": "9.90"}
    assert len(unit["description"]) == 127
    assert request.headers["PayPal-Request-Id"] == "A1"
    assert request.headers["Authorization"] == "Bearer token-canary"


@settings(deadline=None)
@given(minor=st.integers(1, 10**12 - 1), currency=st.sampled_from(["USD", "CNY", "JPY"]))
def test_an_amount_comes_back_as_it_was_asked_for(minor, currency):
    amount = {"currency_code": currency, "value": to_text(minor, currency)}
    made, asked = says(order(captures=[{**CAPTURE, "amount": amount}]))

    made.create(replace(WANTED, amount_minor=minor, currency=currency))
    said = made.query(A1)

    assert json.loads(asked[0].content)["purchase_units"][0]["amount"] == amount
    assert (said.amount_minor, said.currency) == (minor, currency)


@pytest.mark.parametrize("href", [None, "", "javascript:alert(1)", "paypal://x"])
def test_a_page_that_no_buyer_should_be_led_to_is_an_error(href):
    said = {**order(captures=())[1], "links": [{"rel": "approve", "href": href}, 5, {"rel": ["x"]}]}

    with pytest.raises(GatewayError):
        says((201, said))[0].create(WANTED)


def test_what_the_buyer_has_agreed_to_is_taken_and_read_from_the_order():
    made, asked = says(order("APPROVED", captures=()), (201, {"id": "x"}), order())

    said = made.query(A1)

    assert (said.paid, said.provider_txn_id) == (True, "3C679366HH908993F")
    assert [(each.method, each.url.path) for each in asked] == [
        ("GET", ORDER_PATH),
        ("POST", f"{ORDER_PATH}/capture"),
        ("GET", ORDER_PATH),
    ]
    assert asked[1].headers["PayPal-Request-Id"] == "A1-20260301115958"


def test_what_nobody_wants_any_more_is_not_taken():
    made, asked = says(order("APPROVED", captures=()))

    assert made.query(replace(A1, wanted=False)).paid is False
    assert [each.method for each in asked] == ["GET"]


@pytest.mark.parametrize("status", ["CREATED", "PAYER_ACTION_REQUIRED", "SAVED", "VOIDED", "approved", None])
def test_what_the_buyer_has_not_agreed_to_is_not_taken(status):
    made, asked = says(order(status, captures=()))

    assert made.query(A1).paid is False
    assert [each.method for each in asked] == ["GET"]


@pytest.mark.parametrize("issue", ["ORDER_ALREADY_CAPTURED", "INSTRUMENT_DECLINED", "ORDER_NOT_APPROVED"])
def test_what_cannot_be_taken_is_as_the_order_says(issue):
    declined = {**CAPTURE, "status": "DECLINED"}
    for after, is_paid in ((order(), True), (order("APPROVED", captures=[declined]), False)):
        made, _ = says(order("APPROVED", captures=()), no(422, issue), after)
        assert made.query(A1).paid is is_paid


def test_nobody_knows_what_came_of_a_capture_without_an_answer():
    for trouble in (
        (500, ""),
        (503, ""),
        no(409, "RESOURCE_CONFLICT"),
        no(422, "PREVIOUS_REQUEST_IN_PROGRESS"),
    ):
        with pytest.raises(GatewayError):
            says(order("APPROVED", captures=()), trouble)[0].query(A1)


@pytest.mark.parametrize(
    ("status", "is_paid"),
    [
        ("COMPLETED", True),
        ("PARTIALLY_REFUNDED", True),
        ("REFUNDED", True),
        ("PENDING", False),
        ("DECLINED", False),
        ("FAILED", False),
        ("completed", False),
    ],
)
def test_a_capture_is_money_once_it_is_completed(status, is_paid):
    capture = {**CAPTURE, "status": status}

    assert says(order(captures=[capture]))[0].query(A1).paid is is_paid
    assert says((200, capture))[0].query(REFUND.trade).paid is is_paid


def test_of_several_captures_the_one_that_was_paid_counts():
    made, _ = says(order(captures=[{**CAPTURE, "id": "D", "status": "DECLINED"}, CAPTURE]))

    assert made.query(A1).provider_txn_id == "3C679366HH908993F"


def test_a_trade_without_an_order_is_unknown_and_nobody_is_asked():
    made, asked = says(order())

    assert made.query(Trade(out_trade_no="A1")) is None
    assert asked == []


def test_what_is_not_there_is_unknown():
    for trade in (A1, REFUND.trade):
        assert says(no(404, "INVALID_RESOURCE_ID"))[0].query(trade) is None


def test_an_answer_about_another_trade_is_an_error():
    for said, trade in ((order(custom_id="A2"), A1), ((200, {**CAPTURE, "custom_id": "A2"}), REFUND.trade)):
        with pytest.raises(GatewayError, match="another trade"):
            says(said)[0].query(trade)


def test_a_reference_leads_nowhere_else():
    made, asked = says(order())

    with pytest.raises(GatewayError):
        made.query(replace(A1, reference="../../v1/oauth2/token"))
    assert asked == []


MEANS = {
    "a no": (no(422, "CURRENCY_NOT_SUPPORTED"), GatewayRefused),
    "what cannot be understood": (no(400, "INVALID_PARAMETER"), GatewayRefused),
    "not allowed": (no(403, "PERMISSION_DENIED"), GatewayRefused),
    "a no without a reason": ((422, ""), GatewayRefused),
    "our token": ((401, ""), GatewayError),
    "too many": ((429, ""), GatewayError),
    "the same call is under way": (no(422, "PREVIOUS_REQUEST_IN_PROGRESS"), GatewayError),
    "trouble": ((500, ""), GatewayError),
    "trouble in front of it": ((503, ""), Unreachable),
    "elsewhere": ((302, ""), GatewayError),
    "no JSON": ((200, "<html>"), GatewayError),
    "a list": ((201, "[]"), GatewayError),
    "nested without end": ((200, "[" * 99999), GatewayError),
    "no number": ((201, {**order()[1], "id": None}), GatewayError),
    "odd reasons": ((500, {"details": [5], "name": []}), GatewayError),
}


@pytest.mark.parametrize(("said", "kind"), MEANS.values(), ids=MEANS)
def test_what_came_of_a_call_is_told_apart(said, kind):
    with pytest.raises((GatewayError, GatewayRefused)) as raised:
        says(said)[0].create(WANTED)

    assert issubclass(type(raised.value), kind)
    assert "canary" not in str(raised.value)


# Tokens


def test_a_token_is_asked_for_once_until_shortly_before_its_end():
    tokens, now = [], [NOON]

    def answer(request):
        if request.url.path == "/v1/oauth2/token":
            tokens.append(request)
            return httpx.Response(200, json={"access_token": f"t{len(tokens)}", "expires_in": 600})
        assert request.headers["Authorization"] == f"Bearer t{len(tokens)}"
        return httpx.Response(200, json=order()[1])

    for seconds, asked in ((0, 1), (539, 1), (540, 2)):
        now[0] = NOON + timedelta(seconds=seconds)
        gateway(answer, clock=lambda: now[0]).query(A1)
        assert len(tokens) == asked
    gateway(answer, merchant_id="other").query(A1)
    gateway(answer, secret="other").query(A1)
    assert len(tokens) == 4
    assert tokens[0].headers["Authorization"].startswith("Basic ")


def test_a_token_that_was_taken_away_is_asked_for_again():
    tokens = []

    def answer(request):
        if request.url.path == "/v1/oauth2/token":
            tokens.append(request)
            return httpx.Response(200, json={"access_token": f"t{len(tokens)}", "expires_in": 600})
        status, said = order() if request.headers["Authorization"] == "Bearer t2" else (401, "")
        return httpx.Response(status, json=said)

    assert gateway(answer).query(A1).paid
    assert len(tokens) == 2


@pytest.mark.parametrize(
    "token",
    [
        (401, {"error": "invalid_client"}),
        (500, ""),
        (200, ""),
        (200, {"access_token": "a\r\nb", "expires_in": 1}),
        (200, {"access_token": "", "expires_in": 1}),
        (200, {"access_token": "a", "expires_in": "1"}),
        (200, {"access_token": "a"}),
    ],
)
def test_without_a_token_nothing_is_known(token):
    made, asked = says(order(), token=token)

    with pytest.raises(GatewayError):
        made.query(A1)
    assert asked == []


def test_secrets_are_in_no_text():
    made = gateway()

    for text in (repr(made), repr(made._calls)):
        assert "canary" not in text


# Closing


@pytest.mark.parametrize(
    ("said", "is_closed"),
    [
        (order("CREATED", captures=()), True),
        (order("APPROVED", captures=()), True),
        (order("APPROVED", captures=[{**CAPTURE, "status": "DECLINED"}]), True),
        (order(captures=[{**CAPTURE, "status": "PENDING"}]), False),
        (no(404, "INVALID_RESOURCE_ID"), True),
    ],
)
def test_what_is_not_under_way_is_closed_as_nobody_but_us_could_take_it(said, is_closed):
    made, asked = says(said)

    assert made.close(A1) is is_closed
    assert [each.method for each in asked] == ["GET"]


def test_a_paid_order_cannot_be_closed():
    with pytest.raises(GatewayRefused, match="paid"):
        says(order())[0].close(A1)


def test_an_order_that_nobody_was_led_to_is_closed():
    assert gateway().close(Trade(out_trade_no="A1"))


# Refunds


def refund(**changes):
    return {"id": "1JU08902781691411", "status": "COMPLETED", "custom_id": "R1", **changes}


def test_a_refund_is_made_under_its_number():
    made, asked = says((201, refund()))

    assert made.refund(REFUND) == RefundState.DONE

    [request] = asked
    assert request.url.path == "/v2/payments/captures/3C679366HH908993F/refund"
    assert json.loads(request.content) == {
        "amount": {"currency_code": "USD", "value": "0.90"},
        "custom_id": "R1",
    }
    assert request.headers["PayPal-Request-Id"] == "R1"


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("COMPLETED", RefundState.DONE),
        ("PENDING", RefundState.UNDER_WAY),
        ("FAILED", RefundState.FAILED),
        ("CANCELLED", RefundState.FAILED),
    ],
)
def test_a_refund_is_found_by_our_number_in_its_order(status, state):
    made, asked = says(order(refunds=[refund(custom_id="R2"), refund(status=status)]))

    assert made.ask_refund(REFUND) == state
    assert asked[0].url.path == ORDER_PATH


def test_the_order_of_a_capture_is_found():
    made, asked = says(
        (200, {**CAPTURE, "supplementary_data": {"related_ids": {"order_id": A1.reference}}}),
        order(refunds=[refund()]),
    )

    assert made.ask_refund(replace(REFUND, trade=replace(REFUND.trade, reference=""))) == RefundState.DONE
    assert asked[1].url.path == ORDER_PATH


def test_a_refund_that_nobody_made_is_unknown_and_without_its_order_nobody_can_say():
    assert says(order())[0].ask_refund(REFUND) is None
    with pytest.raises(GatewayError):
        says(no(404, "INVALID_RESOURCE_ID"))[0].ask_refund(REFUND)


def test_an_old_refund_is_looked_for_before_it_is_made_again():
    old = replace(REFUND, requested_at=NOON - timedelta(days=41))
    made, asked = says(order(refunds=[refund()]))

    assert made.refund(old) == RefundState.DONE
    assert [each.method for each in asked] == ["GET"]


def test_a_refund_is_refused_in_clear_or_nobody_knows():
    with pytest.raises(GatewayRefused, match="CAPTURE_FULLY_REFUNDED"):
        says(no(422, "CAPTURE_FULLY_REFUNDED"))[0].refund(REFUND)
    for trouble in ((500, ""), (201, refund(status="LOST")), no(422, "PAYPAL_REQUEST_ID_PREVIOUSLY_USED")):
        with pytest.raises(GatewayError):
            says(trouble)[0].refund(REFUND)


# Statements


def row(**changes):
    info = {
        "transaction_id": "3C679366HH908993F",
        "transaction_event_code": "T0006",
        "transaction_status": "S",
        "transaction_amount": {"currency_code": "USD", "value": "9.90"},
        "custom_field": "A1",
        **changes,
    }
    return {"transaction_info": info}


def gone(**changes):
    return row(
        transaction_id="1JU08902781691411",
        transaction_event_code="T1107",
        paypal_reference_id="3C679366HH908993F",
        transaction_amount={"currency_code": "USD", "value": "-0.90"},
        **{"custom_field": "R1", **changes},
    )


def test_a_statement_is_of_one_day_page_by_page_and_leaves_out_what_is_not_ours():
    first = [
        row(),
        row(custom_field=None),
        row(custom_field="of another system"),
        row(transaction_status="D"),
    ]
    first += [
        row(transaction_event_code="T1106"),
        row(transaction_amount={"currency_code": "GBP", "value": "1"}),
    ]
    first += [row(transaction_amount={"currency_code": "USD", "value": "-5.00"}), {}, 5]
    made, asked = says(
        (200, {"transaction_details": first, "total_pages": 2}),
        (200, {"transaction_details": [gone(), gone(custom_field=None)], "total_pages": 2}),
    )

    paid, *back = made.statement(NOON.date())

    assert (paid.out_trade_no, paid.provider_txn_id, paid.amount_minor) == ("A1", "3C679366HH908993F", 990)
    assert [(each.out_refund_no, each.provider_txn_id, each.amount_minor) for each in back] == [
        ("R1", "3C679366HH908993F", 90),
        ("1JU08902781691411", "3C679366HH908993F", 90),
    ]
    assert [request.url.params["page"] for request in asked] == ["1", "2"]
    for request in asked:
        assert request.url.params["start_date"] == "2026-03-01T00:00:00Z"
        assert request.url.params["end_date"] == "2026-03-01T23:59:59Z"


def test_a_statement_that_cannot_be_had_is_an_error():
    for said in (no(403, "PERMISSION_DENIED"), (500, ""), no(404, "X")):
        with pytest.raises(GatewayError):
            list(says(said)[0].statement(NOON.date()))


def test_the_driver_says_what_it_wants_and_what_it_can():
    assert DRIVER.secret_names == ["secret"]
    assert PayPalGateway.can == set(Ability) - {Ability.LIST}
    [check] = [setting.check for setting in DRIVER.settings if setting.check]
    check("5GP028458E2496506")
    with pytest.raises(ValueError, match=r"Webhook|webhook"):
        check("a b")
