"""Stripe as it is seen from outside: how it signs, and what its objects look like. Pure functions."""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from sandbox.ledger import Refund, Status, Trade


@dataclass(frozen=True, kw_only=True)
class StripeAccount:
    """`webhook_url` is the address that the account has registered for its events; none if it is empty."""

    account: str
    api_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    webhook_url: str = ""


def signature(body: bytes, secret: str, *, now: float) -> str:
    """`Stripe-Signature`, with the old scheme beside the one that counts, as for accounts in test mode."""
    stamp = str(int(now))
    v1 = hmac.new(secret.encode(), stamp.encode() + b"." + body, sha256).hexdigest()
    return f"t={stamp},v1={v1},v0={'0' * 64}"


def session(trade: Trade, *, pay_url: str, expand: bool = False) -> dict[str, object]:
    """`expand`: with the payment intent and its charge, and not only the name of it."""
    more = json.loads(trade.bill.more)
    is_open, is_paid = trade.status is Status.UNPAID, trade.status in (Status.PAID, Status.REFUNDED)
    paid_by = {**intent(trade), "latest_charge": charge(trade)} if expand else intent_id(trade)
    return {
        "id": session_id(trade),
        "object": "checkout.session",
        "amount_total": trade.money_fen,
        "client_reference_id": trade.bill.out_trade_no,
        "created": int(trade.created_at),
        "currency": trade.bill.currency.lower(),
        "expires_at": more["expires_at"],
        "livemode": False,
        "metadata": more["metadata"],
        "mode": "payment",
        "payment_intent": paid_by if is_paid else None,
        "payment_status": "paid" if is_paid else "unpaid",
        "status": "open" if is_open else "complete" if is_paid else "expired",
        "success_url": trade.bill.return_url,
        "url": pay_url if is_open else None,
    }


def intent(trade: Trade) -> dict[str, object]:
    return {
        "id": intent_id(trade),
        "object": "payment_intent",
        "amount": trade.money_fen,
        "amount_received": trade.money_fen,
        "currency": trade.bill.currency.lower(),
        "metadata": json.loads(trade.bill.more)["intent_metadata"],
        "status": "succeeded",
    }


def charge(trade: Trade) -> dict[str, object]:
    return {
        "id": f"ch_{trade.trade_no}",
        "object": "charge",
        "amount": trade.money_fen,
        "amount_captured": trade.money_fen,
        "amount_refunded": trade.refunded_fen,
        "created": int(trade.paid_at or 0),
        "currency": trade.bill.currency.lower(),
        "metadata": intent(trade)["metadata"],
        "paid": True,
        "payment_intent": intent_id(trade),
        "status": "succeeded",
    }


def refund(refund: Refund, trade: Trade, *, expand: bool = False) -> dict[str, object]:
    return {
        "id": f"re_{refund.refund_no}",
        "object": "refund",
        "amount": refund.money_fen,
        "created": int(refund.refunded_at),
        "currency": trade.bill.currency.lower(),
        "metadata": {"out_refund_no": refund.out_refund_no},
        "payment_intent": intent(trade) if expand else intent_id(trade),
        "status": "succeeded",
    }


def completed(trade: Trade, *, is_paid: bool) -> dict[str, object]:
    """The event. Of a payment that takes days it says "completed" all the same, and "unpaid"."""
    said = session(trade, pay_url="")
    if not is_paid:
        said |= {"payment_status": "unpaid"}
    return {
        "id": f"evt_{trade.trade_no}_{'paid' if is_paid else 'unpaid'}",
        "object": "event",
        "created": int(trade.paid_at or 0),
        "data": {"object": said},
        "livemode": False,
        "pending_webhooks": 1,
        "type": "checkout.session.completed",
    }


def error(kind: str, message: str, **more: str) -> Mapping[str, object]:
    return {"error": {"type": kind, "message": message, **more}}


def session_id(trade: Trade) -> str:
    return f"cs_test_{trade.trade_no}"


def intent_id(trade: Trade) -> str:
    return f"pi_{trade.trade_no}"
