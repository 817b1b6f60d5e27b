"""What PayPal's answers, notices and statements say, as the shop understands it. Pure functions."""

import json
import re
from collections.abc import Mapping
from typing import Any

from cardshop.common.money import EXPONENTS, MAX_MINOR, to_minor
from payments.gateways.base import BadNotice, Evidence, GatewayError, RefundEvidence, RefundState

_GONE_BACK = {"PARTIALLY_REFUNDED", "REFUNDED"}  # some or all of it
_CAME_IN = {"COMPLETED", *_GONE_BACK}
_STATES = {
    "COMPLETED": RefundState.DONE,
    "PENDING": RefundState.UNDER_WAY,
    "FAILED": RefundState.FAILED,
    "CANCELLED": RefundState.FAILED,
}
# Notices of captures, and whether money has come by them.
_EVENTS = {
    "PAYMENT.CAPTURE.COMPLETED": True,
    "PAYMENT.CAPTURE.PENDING": False,
    "PAYMENT.CAPTURE.DENIED": False,
    "PAYMENT.CAPTURE.DECLINED": False,
}
_PAYMENT, _REFUND = "T00", "T1107"  # event codes of statements: any payment, and a refund of one
_WENT_BACK = {"F", "V"}  # done, and a part or all of it gone back since
_BOOKED = {"S", *_WENT_BACK}
_CURRENCIES = list(EXPONENTS)
_NUMBER = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


def event_of(body: str) -> dict[str, Any]:
    """The event that a notice carries. Raises BadNotice."""
    try:
        event = json.loads(body, parse_float=str)
    except (ValueError, RecursionError):
        raise BadNotice("not JSON") from None
    if not isinstance(event, dict):
        raise BadNotice("no event")
    return event


def evidence_of_event(event: Mapping[str, Any]) -> Evidence | None:
    """What an event says of a capture; None if it is about something else. Raises GatewayError."""
    brings_money, capture = _EVENTS.get(str(event.get("event_type"))), within(event, "resource")
    if brings_money is None or not _our_number(capture.get("custom_id")):
        return None
    return evidence_of_capture(capture, is_over=brings_money)


def evidence_of_order(order: Mapping[str, Any]) -> Evidence:
    """What has come of it, or that nothing has. Raises GatewayError."""
    unit = unit_of(order)
    for capture in captures_of(order):
        if came_in(capture):
            return evidence_of_capture({"custom_id": unit.get("custom_id"), **capture})
    minor, currency = _minor(within(unit, "amount"))
    return Evidence(
        out_trade_no=number_of(unit.get("custom_id"), most=32),
        provider_txn_id="",
        paid=False,
        amount_minor=minor,
        currency=currency,
    )


def evidence_of_capture(capture: Mapping[str, Any], *, is_over: bool = True) -> Evidence:
    """Raises GatewayError."""
    minor, currency = _minor(within(capture, "amount"))
    return Evidence(
        out_trade_no=number_of(capture.get("custom_id"), most=32),
        provider_txn_id=number_of(capture.get("id")),
        paid=is_over and came_in(capture),
        amount_minor=minor,
        currency=currency,
        gone_back=str(capture.get("status")) in _GONE_BACK,
    )


def came_in(capture: Mapping[str, Any]) -> bool:
    return str(capture.get("status")) in _CAME_IN


def booked(info: Mapping[str, Any]) -> Evidence | RefundEvidence | None:
    """A statement's row: money that came under a number like ours, or went back. Raises GatewayError."""
    code, number = str(info.get("transaction_event_code")), _our_number(info.get("custom_field"))
    amount = within(info, "transaction_amount")
    value = str(amount.get("value"))
    if str(info.get("transaction_status")) not in _BOOKED or amount.get("currency_code") not in _CURRENCIES:
        return None
    minor, currency = _minor({**amount, "value": value.removeprefix("-")})
    if code == _REFUND:
        return RefundEvidence(
            # One that was made by hand has no number of ours.
            out_refund_no=number or number_of(info.get("transaction_id")),
            provider_txn_id=number_of(info.get("paypal_reference_id")),
            amount_minor=minor,
            currency=currency,
        )
    if not code.startswith(_PAYMENT) or not number or value.startswith("-"):
        return None
    return Evidence(
        out_trade_no=number,
        provider_txn_id=number_of(info.get("transaction_id")),
        paid=True,
        amount_minor=minor,
        currency=currency,
        gone_back=str(info.get("transaction_status")) in _WENT_BACK,
    )


def _minor(amount: Mapping[str, Any]) -> tuple[int, str]:
    """Minor units and currency. Raises GatewayError."""
    value, currency = amount.get("value"), amount.get("currency_code")
    try:
        minor = to_minor(str(value), currency) if isinstance(currency, str) and currency in EXPONENTS else 0
    except ValueError:
        minor = 0
    if 0 < minor <= MAX_MINOR:
        return minor, str(currency)
    raise GatewayError("answered without a readable amount")


def _our_number(value: object) -> str:
    """Nothing if it cannot be one: others may use the same account."""
    return value if isinstance(value, str) and _NUMBER.fullmatch(value) and len(value) <= 32 else ""


def number_of(value: object, *, most: int = 64) -> str:
    """Raises GatewayError."""
    if not isinstance(value, str) or not _NUMBER.fullmatch(value) or len(value) > most:
        raise GatewayError("answered with an unreadable number")
    return value


def refund_state(refund: Mapping[str, Any]) -> RefundState:
    state = _STATES.get(str(refund.get("status")))
    if state is None:
        raise GatewayError("answered with a refund in no known state")
    return state


def unit_of(order: Mapping[str, Any]) -> dict[str, Any]:
    """What is bought: an order of ours is for one thing."""
    return next(iter(listed(order, "purchase_units")), {})


def payments_of(order: Mapping[str, Any]) -> dict[str, Any]:
    return within(unit_of(order), "payments")


def captures_of(order: Mapping[str, Any]) -> list[dict[str, Any]]:
    return listed(payments_of(order), "captures")


def within(said: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = said.get(name)
    return value if isinstance(value, dict) else {}


def listed(said: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    value = said.get(name)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
