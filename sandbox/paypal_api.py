"""What merchants of PayPal call: tokens, orders, captures, refunds, statements. JSON both ways."""

import hmac
import json
import re
import time
from base64 import b64encode
from collections.abc import Callable
from http import HTTPStatus
from typing import NoReturn

from sandbox import loopback, paypal
from sandbox.gateway import Gateway
from sandbox.ledger import PAYPAL, Bill, Refund, Refused, Status, Trade
from sandbox.web import Answer, Request, json_answer

Act = Callable[..., object]  # (gateway, request, **what the path names): the object to answer
UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY
MINUTE = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"


class Failed(Exception):
    def __init__(self, status: HTTPStatus, issue: str) -> None:
        super().__init__(issue)
        self.status, self.issue = status, issue


def _endpoint(act: Act, *, answers: HTTPStatus = HTTPStatus.OK) -> Callable[..., Answer]:
    def view(gateway: Gateway, request: Request, **named: str) -> Answer:
        try:
            app = gateway.merchants.paypal
            if app is None or not _is(request.header("Authorization"), f"Bearer {app.token}"):
                raise Failed(HTTPStatus.UNAUTHORIZED, "invalid_token")
            return json_answer(act(gateway, request, **named), answers)
        except Failed as failed:
            name = failed.status.name if failed.status is not UNPROCESSABLE else "UNPROCESSABLE_ENTITY"
            return json_answer(paypal.error(name, failed.issue), failed.status)

    return view


def token(gateway: Gateway, request: Request) -> Answer:
    app = gateway.merchants.paypal
    pair = b64encode(f"{app.client_id}:{app.client_secret}".encode()).decode() if app else ""
    if app is None or not _is(request.header("Authorization"), f"Basic {pair}"):
        return json_answer({"error": "invalid_client"}, HTTPStatus.UNAUTHORIZED)
    if request.form.get("grant_type") != "client_credentials":
        return json_answer({"error": "unsupported_grant_type"}, HTTPStatus.BAD_REQUEST)
    return json_answer({"access_token": app.token, "token_type": "Bearer", "expires_in": 32_400})


def certificate(gateway: Gateway, request: Request) -> Answer:
    app = gateway.merchants.paypal
    if app is None:
        return json_answer({}, HTTPStatus.NOT_FOUND)
    return Answer(app.certificate, headers={"Content-Type": "application/x-pem-file"})


def _create(gateway: Gateway, request: Request) -> object:
    bill = _bill(gateway, request)
    trade = gateway.ledger.trade_of_bill(bill.pid, bill.out_trade_no)
    if trade is None or trade.bill != bill:
        try:
            trade = gateway.ledger.open_trade(bill, now=time.time())
        except Refused as exc:
            raise Failed(UNPROCESSABLE, "DUPLICATE_INVOICE_ID") from exc
    time.sleep(gateway.board.now.create_delay_s)
    return _shown(gateway, trade)


def _bill(gateway: Gateway, request: Request) -> Bill:
    """One order for one `PayPal-Request-Id`; and as for accounts that want it so, no invoice id twice."""
    said, app = request.json, _app(gateway)
    units = said.get("purchase_units")
    unit = units[0] if isinstance(units, list) and len(units) == 1 else None
    if said.get("intent") != "CAPTURE" or not isinstance(unit, dict):
        _refuse("INVALID_PARAMETER_VALUE")
    try:
        minor, currency = paypal.read_amount(unit.get("amount"))
    except ValueError:
        _refuse("INVALID_CURRENCY_CODE_OR_VALUE")
    custom, key = str(unit.get("custom_id") or ""), request.header("PayPal-Request-Id")
    if not re.fullmatch("[!-~]{1,127}", custom) or unit.get("invoice_id") != custom or not key:
        _refuse("the sandbox wants one custom_id and invoice_id, and a PayPal-Request-Id")
    notify_url = gateway.webhook_url(app.webhook_url)
    if notify_url:
        loopback.check(notify_url)
    return Bill(
        protocol=PAYPAL,
        pid=app.client_id,
        out_trade_no=custom,
        type="paypal",
        name=str(unit.get("description", "")),
        asked_fen=minor,
        param="",
        notify_url=notify_url,
        return_url=_return_url(said),
        currency=currency,
        more=json.dumps({"request_id": key}),
    )


def _return_url(said: dict[str, object]) -> str:
    at: object = said
    for name in ("payment_source", "paypal", "experience_context", "return_url"):
        at = at.get(name) if isinstance(at, dict) else None
    return str(at or "")


def _order(gateway: Gateway, request: Request, *, trade_no: str) -> object:
    return _shown(gateway, _trade(gateway, trade_no))


def _capture(gateway: Gateway, request: Request, *, trade_no: str) -> object:
    trade = _trade(gateway, trade_no)
    if not request.header("PayPal-Request-Id"):
        _refuse("the sandbox wants a PayPal-Request-Id")
    if trade.status is Status.UNPAID:
        _refuse("ORDER_NOT_APPROVED")
    if not gateway.take(trade_no):
        _refuse("ORDER_ALREADY_CAPTURED")
    return _shown(gateway, _trade(gateway, trade_no))


def _found_capture(gateway: Gateway, request: Request, *, trade_no: str) -> object:
    return paypal.capture(_captured(gateway, trade_no))


def _refund(gateway: Gateway, request: Request, *, trade_no: str) -> object:
    """The books keep one number of a refund: `custom_id` has to be the `PayPal-Request-Id`."""
    trade, key = _captured(gateway, trade_no), request.header("PayPal-Request-Id")
    if not key or request.json.get("custom_id") != key:
        _refuse("the sandbox wants a PayPal-Request-Id, and as custom_id the same")
    left = trade.money_fen - trade.refunded_fen
    try:
        minor, currency = (
            paypal.read_amount(request.json["amount"])
            if "amount" in request.json
            else (left, trade.bill.currency)
        )
    except ValueError:
        _refuse("INVALID_CURRENCY_CODE_OR_VALUE")
    if currency != trade.bill.currency:
        _refuse("CURRENCY_MISMATCH")
    before = gateway.ledger.refund_called(trade.bill.pid, key)
    if before and (before.trade_no, before.money_fen) != (trade_no, minor):
        _refuse("PAYPAL_REQUEST_ID_PREVIOUSLY_USED")
    try:
        made = gateway.ledger.refund(trade_no, money_fen=minor, now=time.time(), out_refund_no=key)
    except Refused as exc:
        issue = "REFUND_AMOUNT_EXCEEDED" if left else "CAPTURE_FULLY_REFUNDED"
        raise Failed(UNPROCESSABLE, issue) from exc
    return paypal.refund(made, trade)


def _transactions(gateway: Gateway, request: Request) -> object:
    begin, end = request.query.get("start_date", ""), request.query.get("end_date", "")
    if not re.fullmatch(MINUTE, begin) or not re.fullmatch(MINUTE, end):
        raise Failed(HTTPStatus.BAD_REQUEST, "INVALID_REQUEST")
    rows = [
        row
        for trade in reversed(gateway.ledger.newest(limit=1_000_000, pid=_app(gateway).client_id))
        if trade.paid_at is not None
        for row in paypal.booked(trade, _refunds_of(gateway, trade))
        if begin <= str(row["transaction_initiation_date"]) <= end
    ]
    size, page = int(request.query.get("page_size", "100")), int(request.query.get("page", "1"))
    shown = rows[(page - 1) * size : page * size]
    return {
        "transaction_details": [{"transaction_info": row} for row in shown],
        "page": page,
        "total_items": len(rows),
        "total_pages": -(-len(rows) // size),
    }


def _shown(gateway: Gateway, trade: Trade) -> dict[str, object]:
    return paypal.order(trade, _refunds_of(gateway, trade), pay_url=gateway.pay_url(trade))


def _refunds_of(gateway: Gateway, trade: Trade) -> list[Refund]:
    return [each for each in gateway.ledger.refunds() if each.trade_no == trade.trade_no]


def _trade(gateway: Gateway, trade_no: str) -> Trade:
    trade = gateway.ledger.trade(trade_no)
    if trade is None or trade.bill.pid != _app(gateway).client_id:
        raise Failed(HTTPStatus.NOT_FOUND, "INVALID_RESOURCE_ID")
    return trade


def _captured(gateway: Gateway, trade_no: str) -> Trade:
    trade = _trade(gateway, trade_no)
    if trade.paid_at is None:
        raise Failed(HTTPStatus.NOT_FOUND, "INVALID_RESOURCE_ID")
    return trade


def _app(gateway: Gateway) -> paypal.PayPalApp:
    assert gateway.merchants.paypal is not None  # who has a token has an app
    return gateway.merchants.paypal


def _is(said: str, wanted: str) -> bool:
    return hmac.compare_digest(said.encode(), wanted.encode())


def _refuse(issue: str) -> NoReturn:
    raise Failed(UNPROCESSABLE, issue)


_CREATED = HTTPStatus.CREATED
_ORDER = r"v2/checkout/orders/(?P<trade_no>[^/]+)"
_CAPTURE = r"v2/payments/captures/(?P<trade_no>[^/]+)C"
PATHS: dict[str, dict[str, Callable[..., Answer]]] = {
    r"v1/oauth2/token": {"POST": token},
    r"v2/checkout/orders": {"POST": _endpoint(_create)},
    _ORDER: {"GET": _endpoint(_order)},
    rf"{_ORDER}/capture": {"POST": _endpoint(_capture, answers=_CREATED)},
    _CAPTURE: {"GET": _endpoint(_found_capture)},
    rf"{_CAPTURE}/refund": {"POST": _endpoint(_refund, answers=_CREATED)},
    r"v1/reporting/transactions": {"GET": _endpoint(_transactions)},
}
