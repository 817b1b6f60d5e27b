"""PayPal as it is seen from outside: how it signs, and what its objects look like. Pure functions."""

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from secrets import token_urlsafe
from zlib import crc32

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from sandbox import epay, epay_v2
from sandbox.ledger import Refund, Status, Trade

CERTIFICATE = "CERT-360caa42-sandbox"
WHOLE = {"JPY"}  # currencies without cents


@dataclass(frozen=True, kw_only=True)
class PayPalApp:
    """A merchant's app. `key`, in bare base64, signs its notices; `webhook_url` is the address that it has
    registered, none if it is empty. Tokens are of this run: after a restart the old one is worth nothing.
    """

    client_id: str
    client_secret: str = field(repr=False)
    webhook_id: str
    key: str = field(repr=False)
    webhook_url: str = ""
    token: str = field(default_factory=token_urlsafe, repr=False)

    @cached_property
    def private_key(self) -> rsa.RSAPrivateKey:
        return epay_v2.read_private_key(self.key)

    @cached_property
    def certificate(self) -> bytes:
        """PEM. Signed by itself: that it comes from our address is all that speaks for it."""
        name = x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, "messageverificationcerts.sandbox.paypal.com")]
        )
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.private_key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=365))
            .sign(self.private_key, hashes.SHA256())
        )
        return made.public_bytes(Encoding.PEM)

    def signature(self, transmission: str, moment: str, body: bytes) -> str:
        text = f"{transmission}|{moment}|{self.webhook_id}|{crc32(body)}"
        return b64encode(self.private_key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()


def order(trade: Trade, refunds: Iterable[Refund], *, pay_url: str) -> dict[str, object]:
    unit: dict[str, object] = {
        "reference_id": "default",
        "custom_id": trade.bill.out_trade_no,
        "invoice_id": trade.bill.out_trade_no,
        "description": trade.bill.name,
        "amount": amount(trade.bill.asked_fen, trade.bill.currency),
    }
    if trade.paid_at is not None:
        unit["payments"] = {
            "captures": [capture(trade)],
            "refunds": [refund(each, trade) for each in refunds],
        }
    statuses = {Status.UNPAID: "PAYER_ACTION_REQUIRED", Status.APPROVED: "APPROVED"}
    return {
        "id": trade.trade_no,
        "intent": "CAPTURE",
        "status": statuses.get(trade.status, "COMPLETED"),
        "purchase_units": [unit],
        "create_time": stamp(trade.created_at),
        "links": [{"href": pay_url, "rel": "payer-action", "method": "GET"}],
    }


def capture(trade: Trade) -> dict[str, object]:
    gone = trade.refunded_fen
    return {
        "id": capture_id(trade),
        "status": "COMPLETED"
        if not gone
        else "REFUNDED"
        if gone == trade.money_fen
        else "PARTIALLY_REFUNDED",
        "amount": amount(trade.money_fen, trade.bill.currency),
        "custom_id": trade.bill.out_trade_no,
        "invoice_id": trade.bill.out_trade_no,
        "final_capture": True,
        "create_time": stamp(trade.paid_at or 0),
        "supplementary_data": {"related_ids": {"order_id": trade.trade_no}},
    }


def refund(each: Refund, trade: Trade) -> dict[str, object]:
    return {
        "id": each.refund_no,
        "status": "COMPLETED",
        "amount": amount(each.money_fen, trade.bill.currency),
        "custom_id": each.out_refund_no,
        "create_time": stamp(each.refunded_at),
    }


def event(trade: Trade, *, word: str, pay_url: str) -> dict[str, object]:
    """What there is to tell: that the buyer agrees, or what came of taking the money."""
    if trade.status is Status.APPROVED:
        kind, resource = "CHECKOUT.ORDER.APPROVED", order(trade, [], pay_url=pay_url)
    elif word == "TRADE_SUCCESS":
        kind, resource = "PAYMENT.CAPTURE.COMPLETED", capture(trade)
    else:
        kind, resource = "PAYMENT.CAPTURE.PENDING", {**capture(trade), "status": "PENDING"}
    return {
        "id": f"WH-{trade.trade_no}-{kind}",
        "event_version": "1.0",
        "create_time": stamp(trade.paid_at or trade.created_at),
        "event_type": kind,
        "resource": resource,
    }


def booked(trade: Trade, refunds: Iterable[Refund]) -> list[dict[str, object]]:
    """A trade's rows of a statement: what came, and what went back."""
    currency, status = trade.bill.currency, "S"
    if trade.refunded_fen:
        status = "V" if trade.refunded_fen == trade.money_fen else "F"
    came: dict[str, object] = {
        "transaction_id": capture_id(trade),
        "transaction_event_code": "T0006",
        "transaction_initiation_date": stamp(trade.paid_at or 0),
        "transaction_amount": amount(trade.money_fen, currency),
        "transaction_status": status,
        "custom_field": trade.bill.out_trade_no,
    }
    gone: list[dict[str, object]] = [
        {
            "transaction_id": each.refund_no,
            "paypal_reference_id": capture_id(trade),
            "paypal_reference_id_type": "TXN",
            "transaction_event_code": "T1107",
            "transaction_initiation_date": stamp(each.refunded_at),
            "transaction_amount": amount(-each.money_fen, currency),
            "transaction_status": "S",
            "custom_field": each.out_refund_no,
        }
        for each in refunds
    ]
    return [came, *gone]


def amount(minor: int, currency: str) -> dict[str, str]:
    sign, minor = "-" if minor < 0 else "", abs(minor)
    value = str(minor) if currency in WHOLE else epay.as_decimal(minor)
    return {"currency_code": currency, "value": f"{sign}{value}"}


def read_amount(said: object) -> tuple[int, str]:
    """Minor units and currency. Raises ValueError."""
    if not isinstance(said, dict):
        raise ValueError("no amount")
    value, currency = str(said.get("value")), str(said.get("currency_code"))
    if currency in WHOLE:
        if not value.isdecimal() or int(value) == 0:
            raise ValueError("no amount without cents")
        return int(value), currency
    return epay.to_fen(value), currency


def error(name: str, issue: str) -> dict[str, object]:
    return {"name": name, "message": name, "details": [{"issue": issue}]}


def capture_id(trade: Trade) -> str:
    return f"{trade.trade_no}C"


def stamp(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%SZ}"
