"""PayPal, Orders v2: the buyer agrees on PayPal's page, and then we take the money.

Sources: developer.paypal.com (Orders v2, Payments v2, Transaction Search v1, webhooks), and for the text that
notices sign paypal/PayPal-Python-SDK@28becaf. Traps:
- An approved order is no money. It becomes some when we capture it, which asking about a wanted trade does.
- There is no closing. An order that nobody wants any more is not captured, and that is as good.
- A notice's signature covers a CRC32 of its body: whoever has seen one can make others that fit. So a notice
  is a reason to ask, and never proof.
- The address of the key comes with the notice. It has to lie where the API lies.
- A refund's `PayPal-Request-Id` is known for 45 days. After that it is looked for before it is made.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from typing import Any
from zlib import crc32

import httpx
from django.utils.translation import gettext_lazy as _

from cardshop.common.money import to_text
from payments.gateways import rsa
from payments.gateways.base import (
    Ability,
    BadNotice,
    Evidence,
    Gateway,
    GatewayError,
    GatewayRefused,
    Lacking,
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
from payments.gateways.paypal_answers import (
    booked,
    came_in,
    captures_of,
    event_of,
    evidence_of_capture,
    evidence_of_event,
    evidence_of_order,
    listed,
    number_of,
    payments_of,
    refund_state,
    unit_of,
    within,
)
from payments.gateways.paypal_calls import NotThere, PayPalCalls
from payments.gateways.paypal_certificates import Certificates, is_from

LONGEST_DESCRIPTION = 127  # characters
KNOWN_FOR = timedelta(days=40)
_PAGE, _MOST_PAGES = 500, 200
_SIGNED = re.compile(r"[!-{}~]{1,100}", re.ASCII)  # without the bar between the parts of the text
_certificates = Certificates()


def signed_text(headers: Mapping[str, str], body: str, webhook_id: str) -> str:
    """What PayPal signs of a notice. Raises BadNotice."""
    parts = [headers.get(f"paypal-transmission-{name}", "") for name in ("id", "time")]
    if not all(_SIGNED.fullmatch(part) for part in parts):
        raise BadNotice("not signed as PayPal does")
    return "|".join([*parts, webhook_id, str(crc32(body.encode()))])


@dataclass(frozen=True, kw_only=True)
class PayPalGateway(Lacking):
    """`merchant_id` is the app's client id. A trade's `reference` is its order, its transaction the capture's
    number.
    """

    base_url: str
    merchant_id: str
    secret: str = field(repr=False)
    webhook_id: str
    http: httpx.Client = field(repr=False)
    clock: Callable[[], datetime]

    notice_is_proof = False
    acknowledgement = "ok"
    can = frozenset(Ability) - {Ability.LIST}

    def create(self, wanted: PayRequest) -> PayPage:
        page = {
            "return_url": wanted.return_url,
            "cancel_url": wanted.return_url,
            "user_action": "PAY_NOW",
            "shipping_preference": "NO_SHIPPING",
            # What clears in days would come after the hold.
            "payment_method_preference": "IMMEDIATE_PAYMENT_REQUIRED",
        }
        unit = {
            "custom_id": wanted.out_trade_no,
            "invoice_id": wanted.out_trade_no,
            "description": wanted.subject[:LONGEST_DESCRIPTION],
            "amount": _amount(wanted.amount_minor, wanted.currency),
        }
        order = self._calls.ask(
            "POST",
            "v2/checkout/orders",
            body={
                "intent": "CAPTURE",
                "purchase_units": [unit],
                "payment_source": {"paypal": {"experience_context": page}},
            },
            request_id=wanted.out_trade_no,
        )
        links = {str(link.get("rel")): link.get("href") for link in listed(order, "links")}
        url = links.get("payer-action") or links.get("approve") or ""
        return PayPage(url=str(url), reference=number_of(order.get("id")))

    def query(self, trade: Trade) -> Evidence | None:
        if trade.provider_txn_id:
            return self._captured(trade)
        order = self._order(trade.reference)
        if order is None:
            return None
        if unit_of(order).get("custom_id") != trade.out_trade_no:
            raise GatewayError("answered about another trade")
        if order.get("status") == "APPROVED" and trade.wanted:
            order = self._take(trade, order)
        return evidence_of_order(order)

    def close(self, trade: Trade) -> bool:
        """Nothing is asked of PayPal but whether the money is on its way: only we could take more."""
        captures = captures_of(self._order(trade.reference) or {})
        if any(came_in(capture) for capture in captures):
            raise GatewayRefused("already paid")
        return not any(capture.get("status") == "PENDING" for capture in captures)

    def refund(self, wanted: RefundRequest) -> RefundState:
        is_old = self.clock() - wanted.requested_at > KNOWN_FOR
        if is_old and (before := self.ask_refund(wanted)):
            return before
        made = self._calls.ask(
            "POST",
            f"v2/payments/captures/{number_of(wanted.trade.provider_txn_id)}/refund",
            body={
                "amount": _amount(wanted.amount_minor, wanted.currency),
                "custom_id": wanted.out_refund_no,
            },
            request_id=wanted.out_refund_no,
        )
        return refund_state(made)

    def ask_refund(self, wanted: RefundRequest) -> RefundState | None:
        """Refunds are known by PayPal's own numbers only, so it is the order that is asked for."""
        order = self._order(wanted.trade.reference or self._order_of(wanted.trade.provider_txn_id))
        if order is None:
            raise GatewayError("does not know the order of the refund any more")
        for refund in listed(payments_of(order), "refunds"):
            if refund.get("custom_id") == wanted.out_refund_no:
                return refund_state(refund)
        return None

    def read_notice(self, call: RawCall, *, at: datetime) -> Notice:
        event, url = event_of(call.body), call.headers.get("paypal-cert-url", "")
        text = signed_text(call.headers, call.body, self.webhook_id)
        if call.headers.get("paypal-auth-algo") != "SHA256withRSA":
            raise BadNotice("signed by another algorithm")
        if not self.webhook_id or not is_from(self.base_url, url):
            raise BadNotice("its certificate is not where PayPal's are")
        key = _certificates.key(self.http, url, at=at)
        if not rsa.verify(text, call.headers.get("paypal-transmission-sig", ""), key):
            raise BadNotice("bad signature")
        try:
            evidence = evidence_of_event(event)
        except GatewayError as error:
            raise BadNotice(str(error)) from error
        return Notice(evidence=evidence, digest=sha256(text.encode()).hexdigest())

    def statement(self, day: date) -> Iterator[Evidence | RefundEvidence]:
        """PayPal takes up to three hours to list what it has booked."""
        begin = datetime.combine(day, time(), UTC)
        stretch = {
            "start_date": f"{begin:%Y-%m-%dT%H:%M:%SZ}",
            "end_date": f"{begin + timedelta(days=1, seconds=-1):%Y-%m-%dT%H:%M:%SZ}",
            "fields": "transaction_info",
            "page_size": str(_PAGE),
        }
        for page in range(1, _MOST_PAGES + 1):
            said = self._found("v1/reporting/transactions", params={**stretch, "page": str(page)})
            if said is None:
                raise GatewayError("has no statements")
            for row in listed(said, "transaction_details"):
                if (each := booked(within(row, "transaction_info"))) is not None:
                    yield each
            pages = said.get("total_pages")
            if type(pages) is not int or page >= pages:
                return
        raise GatewayError("answered with a statement without end")

    @property
    def _calls(self) -> PayPalCalls:
        return PayPalCalls(
            base_url=self.base_url,
            client_id=self.merchant_id,
            secret=self.secret,
            http=self.http,
            clock=self.clock,
        )

    def _take(self, trade: Trade, order: Mapping[str, Any]) -> dict[str, Any]:
        """Capture what the buyer has agreed to; the order as it is then. Raises GatewayError.

        Named after the moment of the agreement: a buyer whose card was declined may agree to another.
        """
        agreed = re.sub("[^0-9]", "", str(order.get("update_time")))[:20]
        # Declined, or taken by somebody else in this moment: the order says which.
        with suppress(GatewayRefused):
            self._calls.ask(
                "POST",
                f"v2/checkout/orders/{number_of(trade.reference)}/capture",
                body={},
                request_id=f"{trade.out_trade_no}-{agreed}",
            )
        return self._order(trade.reference) or {}

    def _captured(self, trade: Trade) -> Evidence | None:
        capture = self._found(f"v2/payments/captures/{number_of(trade.provider_txn_id)}")
        if capture is None:
            return None
        if capture.get("custom_id") != trade.out_trade_no:
            raise GatewayError("answered about another trade")
        return evidence_of_capture(capture)

    def _order(self, reference: str) -> dict[str, Any] | None:
        return self._found(f"v2/checkout/orders/{number_of(reference)}") if reference else None

    def _order_of(self, capture_id: str) -> str:
        capture = self._found(f"v2/payments/captures/{number_of(capture_id)}") or {}
        return str(within(within(capture, "supplementary_data"), "related_ids").get("order_id") or "")

    def _found(self, path: str, **request: Any) -> dict[str, Any] | None:
        """Raises GatewayError."""
        try:
            return self._calls.ask("GET", path, **request)
        except NotThere:
            return None
        except GatewayRefused as error:
            raise GatewayError(str(error)) from error


def _make(account: Account) -> Gateway:
    return PayPalGateway(
        base_url=account.base_url,
        merchant_id=account.merchant_id,
        secret=account.secrets["secret"],
        webhook_id=account.options.get("webhook_id", ""),
        http=account.http,
        clock=account.clock,
    )


def _check_webhook_id(text: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9]{1,100}", text, re.ASCII):
        raise ValueError(_("A webhook's id has letters and digits only."))


DRIVER = Driver(
    name="paypal",
    label="PayPal",
    methods=("paypal",),
    settings=(
        Setting(name="merchant_id", label=_("Client id")),
        Setting(name="secret", label=_("Client secret"), is_secret=True),
        Setting(
            name="webhook_id",
            label=_("Webhook id"),
            help_text=_("Of a webhook that sends the events PAYMENT.CAPTURE.* to this way to pay."),
            check=_check_webhook_id,
        ),
    ),
    make=_make,
    base_url="https://api-m.paypal.com/",
)


def _amount(minor: int, currency: str) -> dict[str, str]:
    return {"currency_code": currency, "value": to_text(minor, currency)}
