"""What merchants of Stripe call: sessions, refunds and charges. Forms in, JSON out, errors as Stripe's."""

import hmac
import json
import re
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import NoReturn
from urllib.parse import parse_qsl

from sandbox import loopback, stripe
from sandbox.gateway import Gateway
from sandbox.ledger import STRIPE, Bill, Refused, Status, Trade
from sandbox.web import Answer, Request, json_answer

Form = dict[str, str]
Act = Callable[..., object]  # (gateway, form, **what the path names): the object to answer
MINUTE, DAY = 60, 86_400


class Failed(Exception):
    def __init__(self, status: HTTPStatus, kind: str, message: str, **more: str) -> None:
        super().__init__(message)
        self.status, self.said = status, stripe.error(kind, message, **more)


def _endpoint(act: Act) -> Callable[..., Answer]:
    def view(gateway: Gateway, request: Request, **named: str) -> Answer:
        try:
            account = gateway.merchants.stripe
            bearer = f"Bearer {account.api_key}" if account else ""
            if not account or not hmac.compare_digest(
                request.header("Authorization").encode(), bearer.encode()
            ):
                raise Failed(HTTPStatus.UNAUTHORIZED, "invalid_request_error", "Invalid API Key provided")
            raw = request.body.decode(errors="replace") if request.method == "POST" else request.query_string
            form = {**dict(parse_qsl(raw)), "key": request.header("Idempotency-Key")}
            return json_answer(act(gateway, form, **named))
        except Failed as failed:
            return json_answer(failed.said, failed.status)

    return view


def _create_session(gateway: Gateway, form: Form) -> object:
    account = _account(gateway)
    bill = _bill(gateway, form)
    trade = gateway.ledger.trade_of_bill(account.account, bill.out_trade_no)
    if trade is None or trade.bill != bill:
        try:
            trade = gateway.ledger.open_trade(bill, now=time.time())
        except Refused:
            _refuse_key()
    time.sleep(gateway.board.now.create_delay_s)
    return _shown(gateway, trade)


def _bill(gateway: Gateway, form: Form) -> Bill:
    """The key makes one session. The books also want that no two keys share a `client_reference_id`."""
    account = _account(gateway)
    price = "line_items[0][price_data]"
    number, key = form.get("client_reference_id", ""), form["key"]
    amount, currency = form.get(f"{price}[unit_amount]", ""), form.get(f"{price}[currency]", "")
    if form.get("mode") != "payment" or form.get("line_items[0][quantity]") != "1":
        _refuse("mode, or line_items")
    if not number or not key:
        _refuse("client_reference_id, or no Idempotency-Key")
    if not re.fullmatch("[1-9][0-9]{0,7}", amount) or not re.fullmatch("[a-z]{3}", currency):
        _refuse(f"{price}[unit_amount], or [currency]")
    expires_at = int(form.get("expires_at") or time.time() + DAY)
    if not time.time() + 30 * MINUTE <= expires_at <= time.time() + DAY:
        _refuse("The `expires_at` timestamp must be at least 30 minutes and less than 24 hours from now")
    notify_url = gateway.webhook_url(account.webhook_url)
    if notify_url:
        loopback.check(notify_url)
    more = {
        "key": key,
        "expires_at": expires_at,
        "metadata": _inside(form, "metadata"),
        "intent_metadata": _inside(form, "payment_intent_data[metadata]"),
    }
    return Bill(
        protocol=STRIPE,
        pid=account.account,
        out_trade_no=number,
        type="card",
        name=form.get(f"{price}[product_data][name]", ""),
        asked_fen=int(amount),
        param="",
        notify_url=notify_url,
        return_url=form.get("success_url", ""),
        currency=currency.upper(),
        more=json.dumps(more),
    )


def _session(gateway: Gateway, form: Form, *, trade_no: str) -> object:
    trade = _trade(gateway, trade_no, "checkout.session")
    return _shown(gateway, trade, expand=form.get("expand[0]") == "payment_intent.latest_charge")


def _sessions(gateway: Gateway, form: Form) -> object:
    shown = [_shown(gateway, trade) for trade in _trades(gateway)]
    return _page([each for each in shown if form.get("status") in (None, each["status"])], form)


def _expire(gateway: Gateway, form: Form, *, trade_no: str) -> object:
    trade = _trade(gateway, trade_no, "checkout.session")
    if trade.status is not Status.UNPAID or gateway.ledger.close(trade_no) is not Status.CLOSED:
        status = _shown(gateway, _trade(gateway, trade_no, "checkout.session"))["status"]
        _refuse(
            'Only Checkout Sessions with a status in ["open"] can be expired.'
            f" This Checkout Session has a status of `{status}`."
        )
    return _shown(gateway, _trade(gateway, trade_no, "checkout.session"))


def _create_refund(gateway: Gateway, form: Form) -> object:
    """The books keep one word of a refund's metadata, and that is its key."""
    trade = _trade(gateway, form.get("payment_intent", "").removeprefix("pi_"), "payment_intent")
    key, amount = form["key"], form.get("amount") or str(trade.money_fen - trade.refunded_fen)
    if not key or _inside(form, "metadata") != {"out_refund_no": key}:
        _refuse("metadata[out_refund_no] has to be the Idempotency-Key here")
    before = gateway.ledger.refund_called(trade.bill.pid, key)
    if before and (before.trade_no, str(before.money_fen)) != (trade.trade_no, amount):
        _refuse_key()
    try:
        refund = gateway.ledger.refund(
            trade.trade_no, money_fen=int(amount), now=time.time(), out_refund_no=key
        )
    except Refused as exc:
        is_all_gone = trade.refunded_fen == trade.money_fen
        raise Failed(
            HTTPStatus.BAD_REQUEST,
            "invalid_request_error",
            f"Refund amount (${amount}) is greater than unrefunded amount on charge: {exc}",
            **({"code": "charge_already_refunded"} if is_all_gone else {}),
        ) from exc
    return stripe.refund(refund, trade)


def _refunds(gateway: Gateway, form: Form) -> object:
    trades = {trade.trade_no: trade for trade in _trades(gateway)}
    shown = [
        stripe.refund(refund, trades[refund.trade_no], expand=form.get("expand[0]") == "data.payment_intent")
        for refund in reversed(gateway.ledger.refunds())
        if refund.trade_no in trades
        and form.get("payment_intent") in (None, stripe.intent_id(trades[refund.trade_no]))
    ]
    return _page(shown, form)


def _charges(gateway: Gateway, form: Form) -> object:
    return _page([stripe.charge(trade) for trade in _trades(gateway) if trade.paid_at is not None], form)


def _page(rows: list[dict[str, object]], form: Form) -> object:
    """Newest first, of a stretch of time, after a row that the caller has."""
    begin, end = int(form.get("created[gte]", 0)), int(form.get("created[lt]", 2**40))
    rows = [row for row in rows if begin <= int(str(row["created"])) < end]
    if last := form.get("starting_after"):
        ids = [row["id"] for row in rows]
        if last not in ids:
            _refuse(f"No such object: {last}")
        rows = rows[ids.index(last) + 1 :]
    limit = int(form.get("limit", 10))
    return {"object": "list", "data": rows[:limit], "has_more": len(rows) > limit, "url": "/v1"}


def _shown(gateway: Gateway, trade: Trade, *, expand: bool = False) -> dict[str, object]:
    return stripe.session(trade, pay_url=gateway.pay_url(trade), expand=expand)


def _trades(gateway: Gateway) -> Iterable[Trade]:
    return gateway.ledger.newest(limit=1_000_000, pid=_account(gateway).account)


def _trade(gateway: Gateway, trade_no: str, kind: str) -> Trade:
    trade = gateway.ledger.trade(trade_no)
    if trade is None or trade.bill.pid != _account(gateway).account:
        raise Failed(
            HTTPStatus.NOT_FOUND, "invalid_request_error", f"No such {kind}", code="resource_missing"
        )
    return trade


def _account(gateway: Gateway) -> stripe.StripeAccount:
    assert gateway.merchants.stripe is not None  # who has the key has an account
    return gateway.merchants.stripe


def _inside(form: Form, name: str) -> dict[str, str]:
    """Of `name[a]=b` and its like: the mapping."""
    return {
        key[len(name) + 1 : -1]: value for key, value in sorted(form.items()) if key.startswith(f"{name}[")
    }


def _refuse(message: str) -> NoReturn:
    raise Failed(HTTPStatus.BAD_REQUEST, "invalid_request_error", message)


def _refuse_key() -> NoReturn:
    raise Failed(
        HTTPStatus.BAD_REQUEST,
        "idempotency_error",
        "Keys for idempotent requests can only be used with the same parameters they were first used with.",
    )


_SESSION = r"checkout/sessions/cs_test_(?P<trade_no>[^/]+)"
PATHS: dict[str, dict[str, Callable[..., Answer]]] = {
    r"checkout/sessions": {"POST": _endpoint(_create_session), "GET": _endpoint(_sessions)},
    _SESSION: {"GET": _endpoint(_session)},
    rf"{_SESSION}/expire": {"POST": _endpoint(_expire)},
    r"refunds": {"POST": _endpoint(_create_refund), "GET": _endpoint(_refunds)},
    r"charges": {"GET": _endpoint(_charges)},
}
