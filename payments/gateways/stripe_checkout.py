"""Stripe Checkout: a page of Stripe's, for one payment by card.

Sources: docs.stripe.com/api, and the `stripe` package. Traps:
- A completed session need not be paid: `payment_status` says, and some money comes later or never.
- A session stays open for half an hour at least. A shop that holds for less closes it.
- Idempotency keys are forgotten after a day or more, so a refund is looked for before it is made.
- The package's own check of a signature takes stamps from any future; ours does not.
- A payment link of the same account carries a `client_reference_id` that the buyer may choose. Metadata is
  written with the secret key only, so our number is read from there.
"""

import hmac
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from typing import Any

import httpx
from django.utils.translation import gettext_lazy as _

from cardshop.common.money import EXPONENTS, MAX_MINOR
from payments.gateways.base import (
    Ability,
    BadNotice,
    Evidence,
    Gateway,
    GatewayError,
    GatewayRefused,
    Notice,
    PayPage,
    PayRequest,
    RawCall,
    RefundEvidence,
    RefundRequest,
    RefundState,
    Trade,
)
from payments.gateways.drivers import Account, Driver, Setting
from payments.gateways.stripe_calls import NotThere, StripeCalls, calls_to

WINDOW = timedelta(seconds=300)  # that a notice's stamp may be off, either way
# Stripe wants 30 minutes at least, also when the call is repeated just before the shop's own hold ends.
STAYS_OPEN = timedelta(minutes=31)
LONGEST_OPEN = timedelta(hours=24)
LONGEST_NAME = 250  # characters
# Events of a session, and whether money may have come by them.
_EVENTS = {
    "checkout.session.completed": True,
    "checkout.session.async_payment_succeeded": True,
    "checkout.session.async_payment_failed": False,
    "checkout.session.expired": False,
}
_STATES = {
    "succeeded": RefundState.DONE,
    "pending": RefundState.UNDER_WAY,
    "requires_action": RefundState.UNDER_WAY,
    "failed": RefundState.FAILED,
    "canceled": RefundState.FAILED,
}
_NUMBER = re.compile(r"[A-Za-z0-9_]+", re.ASCII)


def is_genuine(body: str, header: str, secret: str, *, at: datetime) -> bool:
    """Whether `Stripe-Signature` holds one stamp of about now, and a v1 signature of stamp and body.

    There may be several signatures while a secret is being changed; other schemes are for tests only.
    """
    pairs = [part.partition("=")[::2] for part in header.split(",")]
    stamps = [value for name, value in pairs if name == "t"]
    if not secret or len(stamps) != 1 or not re.fullmatch("[0-9]{1,12}", stamps[0], re.ASCII):
        return False
    if abs(at.timestamp() - int(stamps[0])) > WINDOW.total_seconds():
        return False
    expected = hmac.new(secret.encode(), f"{stamps[0]}.{body}".encode(), sha256).hexdigest().encode()
    # As bytes: on text, compare_digest raises for what is not ASCII.
    return any(hmac.compare_digest(expected, value.encode()) for name, value in pairs if name == "v1")


@dataclass(frozen=True, kw_only=True)
class StripeGateway:
    """`merchant_id` is the account's id. A trade's `reference` is its session, its transaction the payment
    intent.
    """

    base_url: str
    merchant_id: str
    api_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    http: httpx.Client = field(repr=False)

    notice_is_proof = True
    list_is_proof = True
    acknowledgement = "ok"
    can = frozenset(Ability)

    def create(self, wanted: PayRequest) -> PayPage:
        ours = {"out_trade_no": wanted.out_trade_no}
        price = {
            "currency": wanted.currency.lower(),
            "unit_amount": wanted.amount_minor,
            "product_data": {"name": wanted.subject[:LONGEST_NAME]},
        }
        ends = min(wanted.expires_at + STAYS_OPEN, wanted.started_at + LONGEST_OPEN)
        session = self._calls.ask(
            self._calls.v1.checkout.sessions.create,
            {
                "mode": "payment",
                "payment_method_types": ["card"],
                "client_reference_id": wanted.out_trade_no,
                "metadata": ours,
                "payment_intent_data": {"metadata": ours},
                "line_items": [{"quantity": 1, "price_data": price}],
                # Nothing but what was asked for, in the currency that was asked for.
                "adaptive_pricing": {"enabled": False},
                "success_url": wanted.return_url,
                "cancel_url": wanted.return_url,
                "expires_at": int(ends.timestamp()),
            },
            {"idempotency_key": wanted.out_trade_no},
        )
        return PayPage(url=str(session.get("url") or ""), reference=_id(session.get("id"), most=120))

    def query(self, trade: Trade) -> Evidence | None:
        session = self._session(trade.reference)
        if session is None:
            return None
        if _our_number(session) != trade.out_trade_no:
            raise GatewayError("answered about another trade")
        return _evidence(session)

    def close(self, trade: Trade) -> bool:
        if not trade.reference:
            return False
        session: Mapping[str, Any] | None
        try:
            session = self._calls.ask(self._calls.v1.checkout.sessions.expire, trade.reference)
        except GatewayRefused:
            session = self._session(trade.reference)  # it was over already: paid, or not?
        if session is None:
            return False
        if _is_paid(session):
            raise GatewayRefused("already paid")
        return session.get("status") == "expired"

    def refund(self, wanted: RefundRequest) -> RefundState:
        before = self.ask_refund(wanted)
        if before is not None:
            return before
        made = self._calls.ask(
            self._calls.v1.refunds.create,
            {
                "payment_intent": wanted.trade.provider_txn_id,
                "amount": wanted.amount_minor,
                "metadata": {"out_refund_no": wanted.out_refund_no},
            },
            {"idempotency_key": wanted.out_refund_no},
        )
        return _state(made)

    def ask_refund(self, wanted: RefundRequest) -> RefundState | None:
        of_intent = {"payment_intent": wanted.trade.provider_txn_id}
        for refund in self._calls.rows(self._calls.v1.refunds.list, of_intent):
            if _metadata(refund).get("out_refund_no") == wanted.out_refund_no:
                return _state(refund)
        return None

    def read_notice(self, call: RawCall, *, at: datetime) -> Notice:
        if not is_genuine(call.body, call.headers.get("stripe-signature", ""), self.webhook_secret, at=at):
            raise BadNotice("bad signature, or out of time")
        event = _event(call.body)
        if event.get("livemode") is not self._is_live:
            raise BadNotice("of tests, or of no tests, unlike our key")
        if event.get("account") not in (None, self.merchant_id):
            raise BadNotice("for another account")
        try:
            evidence = _of_event(event)
        except GatewayError as error:
            raise BadNotice(str(error)) from error
        # Of its number: it is signed anew whenever it is sent again.
        return Notice(evidence=evidence, digest=sha256(event["id"].encode()).hexdigest())

    def trades(self) -> Iterator[Evidence]:
        for session in self._calls.rows(self._calls.v1.checkout.sessions.list, {"status": "complete"}):
            if _our_number(session) and _is_paid(session):
                yield _evidence(session)

    def statement(self, day: date) -> Iterator[Evidence | RefundEvidence]:
        begin = datetime.combine(day, time(), UTC)
        created = {"gte": int(begin.timestamp()), "lt": int((begin + timedelta(days=1)).timestamp())}
        for charge in self._calls.rows(self._calls.v1.charges.list, {"created": created}):
            if _our_number(charge) and charge.get("status") == "succeeded":
                yield Evidence(
                    out_trade_no=_our_number(charge),
                    provider_txn_id=_id(charge.get("payment_intent")),
                    paid=True,
                    gone_back=_has_gone_back(charge),
                    **_money(charge, "amount_captured"),
                )
        whose = {"created": created, "expand": ["data.payment_intent"]}
        for refund in self._calls.rows(self._calls.v1.refunds.list, whose):
            intent = refund.get("payment_intent")
            if not isinstance(intent, dict) or not _our_number(intent):
                continue
            if (state := _state(refund)) != RefundState.FAILED:
                yield RefundEvidence(
                    # One that was made by hand has no number of ours.
                    out_refund_no=str(_metadata(refund).get("out_refund_no") or _id(refund.get("id"))),
                    provider_txn_id=_id(intent.get("id")),
                    state=state,
                    **_money(refund, "amount"),
                )

    @property
    def _calls(self) -> StripeCalls:
        return calls_to(self.base_url, self.api_key, self.http)

    @property
    def _is_live(self) -> bool:
        return "_live_" in self.api_key

    def _session(self, reference: str) -> dict[str, Any] | None:
        """Raises GatewayError."""
        if not reference:
            return None
        try:
            return self._calls.ask(
                self._calls.v1.checkout.sessions.retrieve,
                reference,
                {"expand": ["payment_intent.latest_charge"]},
            )
        except NotThere:
            return None
        except GatewayRefused as error:
            raise GatewayError(str(error)) from error


def _make(account: Account) -> Gateway:
    return StripeGateway(
        base_url=account.base_url,
        merchant_id=account.merchant_id,
        api_key=account.secrets["api_key"],
        webhook_secret=account.secrets["webhook_secret"],
        http=account.http,
    )


def _check_account(text: str) -> None:
    if not re.fullmatch(r"acct_[A-Za-z0-9]{1,60}", text, re.ASCII):
        raise ValueError(_("An account id begins with acct_."))


def _check_api_key(text: str) -> None:
    if not re.fullmatch(r"[sr]k_(live|test)_[!-~]{1,250}", text, re.ASCII):
        raise ValueError(_("A secret key begins with sk_ or rk_, and then live_ or test_."))


def _check_webhook_secret(text: str) -> None:
    if not re.fullmatch(r"whsec_[!-~]{1,250}", text, re.ASCII):
        raise ValueError(_("A signing secret begins with whsec_."))


DRIVER = Driver(
    name="stripe_checkout",
    label="Stripe Checkout",
    methods=("card",),
    settings=(
        Setting(name="merchant_id", label=_("Account id"), check=_check_account),
        Setting(name="api_key", label=_("Secret key"), is_secret=True, check=_check_api_key),
        Setting(
            name="webhook_secret",
            label=_("Signing secret of the webhook"),
            help_text=_("Of a webhook that sends the events checkout.session.* to this way to pay."),
            is_secret=True,
            check=_check_webhook_secret,
        ),
    ),
    make=_make,
    base_url="https://api.stripe.com/",
)


def _event(body: str) -> dict[str, Any]:
    """Raises BadNotice."""
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        raise BadNotice("not JSON") from None
    if not isinstance(event, dict) or not isinstance(event.get("id"), str) or not event["id"]:
        raise BadNotice("no event")
    return event


def _of_event(event: Mapping[str, Any]) -> Evidence | None:
    """What an event says of a session of ours; None if it is about something else. Raises GatewayError."""
    brings_money = _EVENTS.get(str(event.get("type")))
    data = event.get("data")
    session = data.get("object") if isinstance(data, dict) else None
    if brings_money is None or not isinstance(session, dict) or not _our_number(session):
        return None
    return _evidence(session, brings_money=brings_money)


def _evidence(session: Mapping[str, Any], *, brings_money: bool = True) -> Evidence:
    """Raises GatewayError."""
    paid = brings_money and _is_paid(session)
    named = session.get("payment_intent")
    # Only our query asks for more than its name.
    intent: Mapping[str, Any] = named if isinstance(named, dict) else {"id": named}
    charge = intent.get("latest_charge")
    return Evidence(
        out_trade_no=_our_number(session),
        provider_txn_id=_id(intent.get("id")) if paid else "",
        paid=paid,
        gone_back=isinstance(charge, dict) and _has_gone_back(charge),
        **_money(session, "amount_total"),
    )


def _has_gone_back(charge: Mapping[str, Any]) -> bool:
    return bool(charge.get("amount_refunded"))


def _is_paid(session: Mapping[str, Any]) -> bool:
    return session.get("payment_status") == "paid"


def _our_number(said: Mapping[str, Any]) -> str:
    """The number that we wrote into its metadata; nothing if it is not ours."""
    number = _metadata(said).get("out_trade_no")
    return number if isinstance(number, str) and 0 < len(number) <= 32 else ""


def _metadata(said: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = said.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _money(said: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Stripe counts in the same minor units as we do, in yen also. Raises GatewayError."""
    minor, currency = said.get(name), str(said.get("currency")).upper()
    if type(minor) is not int or not 0 < minor <= MAX_MINOR or currency not in EXPONENTS:
        raise GatewayError("answered without a readable amount")
    return {"amount_minor": minor, "currency": currency}


def _id(value: object, *, most: int = 64) -> str:
    """Raises GatewayError."""
    if not isinstance(value, str) or not _NUMBER.fullmatch(value) or len(value) > most:
        raise GatewayError("answered with an unreadable number")
    return value


def _state(refund: Mapping[str, Any]) -> RefundState:
    state = _STATES.get(str(refund.get("status")))
    if state is None:
        raise GatewayError("answered with a refund in no known state")
    return state
