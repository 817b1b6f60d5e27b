"""Alipay, OpenAPI v1 with RSA2: a QR code (当面付), or a page for desktops and phones (电脑/手机网站支付).

Sources: the platform's documents of `alipay.trade.*`, and fzlee/alipay@fd838d5. Traps:
- Answers are verified over the raw text of their node. Written anew as JSON, it is another text.
- A code or a page makes no trade until somebody scans or logs in: until then the trade "does not exist", and
  can be paid all the same. So everything carries an absolute end.
- The clock is that of Beijing, whatever the server's.
- TRADE_SUCCESS comes again with every partial refund, and TRADE_FINISHED after it: it is the same money.
  TRADE_CLOSED is said of what was never paid, and of what was refunded as a whole.
- Code 10000 means of a refund that it was accepted. Its money has left when `fund_change` is Y; repeated
  under its number it is N, and one has to ask. `refund_fee` is the sum of all refunds of the trade.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from functools import partial
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlencode

import httpx
from django.utils.translation import gettext_lazy as _

from cardshop.common.money import to_minor, to_text
from payments.gateways import alipay_bill, rsa
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
    Unreachable,
    named,
    read_evidence,
)
from payments.gateways.drivers import PRIVATE_KEY, PROVIDER_KEY, Account, Driver, Setting
from payments.gateways.exchange import fetch

CURRENCY = "CNY"
BEIJING = timezone(timedelta(hours=8))
PAID = {"TRADE_SUCCESS", "TRADE_FINISHED"}
LONGEST_SUBJECT = 256  # characters
_APP = "alipays://platformapi/startapp?saId=10000007&qrcode="
# When the bill of the day before is there at the latest; before, that there is none says nothing.
_BILL_BY = time(10, tzinfo=BEIJING)
# Said of what may be well again in a moment, and of what nobody knows how it ended.
_TROUBLE = {"20000", "10003"}
# Of a trade that is not waiting for its buyer: paid, or closed before.
_NOT_WAITING = {"ACQ.TRADE_STATUS_ERROR", "ACQ.REASON_TRADE_STATUS_INVALID", "ACQ.TRADE_HAS_SUCCESS"}
# The documents have another name for it than the platform.
_NO_BILL = {"isp.bill_not_exist", "BILL_NOT_EXIST"}
_REFUND_STATES = {
    "REFUND_SUCCESS": RefundState.DONE,
    "REFUND_PROCESSING": RefundState.UNDER_WAY,
    "REFUND_FAIL": RefundState.FAILED,
}


def signed_text(params: Mapping[str, str], *, without: frozenset[str] = frozenset({"sign"})) -> str:
    """The sorted, non-empty, un-encoded pairs. Of notices `sign_type` is left out, too."""
    return "&".join(f"{k}={v}" for k, v in sorted(params.items()) if v and k not in without)


@dataclass(frozen=True, kw_only=True)
class AlipayGateway(Lacking):
    """`merchant_id` is the app's id, `secret` its private key, `provider_key` Alipay's public key.

    With `seller_id`, notices have to be of that account's money.
    """

    base_url: str
    merchant_id: str
    secret: str = field(repr=False)
    provider_key: str
    seller_id: str = ""
    has_pages: bool
    http: httpx.Client = field(repr=False)
    clock: Callable[[], datetime]

    notice_is_proof = True
    acknowledgement = "success"
    can = frozenset(
        {Ability.CLOSE, Ability.REFUND, Ability.REPEAT_REFUND, Ability.ASK_REFUND, Ability.STATEMENT}
    )

    def create(self, wanted: PayRequest) -> PayPage:
        if wanted.currency != CURRENCY:
            raise GatewayRefused(f"Alipay takes {CURRENCY}, not {wanted.currency}")
        about = {
            "out_trade_no": wanted.out_trade_no,
            "total_amount": to_text(wanted.amount_minor, CURRENCY),
            "subject": wanted.subject[:LONGEST_SUBJECT],
            "time_expire": _stamp(wanted.expires_at),
        }
        if self.has_pages:
            return PayPage(url=self._page(wanted, about))
        said = self._call("alipay.trade.precreate", about, notify_url=wanted.notify_url)
        if said.get("code") != "10000":
            raise GatewayRefused(_why(said))
        qr = str(said.get("qr_code", ""))
        return PayPage(qr=qr, app_url=_APP + quote(qr, safe="") if qr else "")

    def query(self, trade: Trade) -> Evidence | None:
        said = self._ask(trade)
        return _evidence(said, came_in=bool(said.get("send_pay_date"))) if said else None

    def close(self, trade: Trade) -> bool:
        said = self._call("alipay.trade.close", named(trade))
        if said.get("code") == "10000":
            return True
        if said.get("sub_code") == "ACQ.TRADE_NOT_EXIST":
            return False
        if said.get("sub_code") not in _NOT_WAITING:
            raise GatewayError(_why(said))
        found = self._ask(trade) or {}
        if found.get("trade_status") in PAID or found.get("send_pay_date"):
            raise GatewayRefused("paid")
        return found.get("trade_status") == "TRADE_CLOSED"

    def _ask(self, trade: Trade) -> dict[str, Any] | None:
        said = self._call("alipay.trade.query", named(trade))
        if said.get("sub_code") == "ACQ.TRADE_NOT_EXIST":
            return None
        if said.get("code") != "10000":
            raise GatewayError(_why(said))
        _expect_trade(said, trade)
        return said

    def refund(self, wanted: RefundRequest) -> RefundState:
        about = {
            **named(wanted.trade),
            "refund_amount": to_text(wanted.amount_minor, CURRENCY),
            "out_request_no": wanted.out_refund_no,
            "refund_reason": wanted.reason[:LONGEST_SUBJECT],
        }
        said = self._call("alipay.trade.refund", about)
        if said.get("code") != "10000":
            raise GatewayRefused(_why(said))
        _expect_trade(said, wanted.trade)
        return RefundState.DONE if said.get("fund_change") == "Y" else RefundState.UNDER_WAY

    def ask_refund(self, wanted: RefundRequest) -> RefundState | None:
        about = {**named(wanted.trade), "out_request_no": wanted.out_refund_no}
        said = self._call("alipay.trade.fastpay.refund.query", about)
        if said.get("sub_code") in ("ACQ.TRADE_NOT_EXIST", "TRADE_NOT_EXIST"):
            return None
        if said.get("code") != "10000":
            raise GatewayError(_why(said))
        if "refund_amount" not in said:
            return _REFUND_STATES.get(str(said.get("refund_status")))
        _expect_trade(said, wanted.trade)
        if said.get("out_request_no") != wanted.out_refund_no:
            raise GatewayError("answered about another refund")
        if _minor(said["refund_amount"]) != wanted.amount_minor:
            raise GatewayError("says that it refunded another amount")
        # Older answers have no state: that there is a refund means that it is made.
        return _REFUND_STATES.get(str(said.get("refund_status", "REFUND_SUCCESS")), RefundState.UNDER_WAY)

    def statement(self, day: date) -> Iterator[Evidence | RefundEvidence]:
        about = {"bill_type": "trade", "bill_date": day.isoformat()}
        said = self._call("alipay.data.dataservice.bill.downloadurl.query", about)
        if said.get("sub_code") in _NO_BILL:
            # So it is of a day without trades, too.
            if self.clock() < datetime.combine(day + timedelta(days=1), _BILL_BY):
                raise GatewayError(f"has no bill of {day} yet")
            return
        if said.get("code") != "10000":
            raise GatewayError(_why(said))
        url = alipay_bill.checked_url(str(said.get("bill_download_url", "")), base_url=self.base_url)
        yield from alipay_bill.read(alipay_bill.fetch_bill(self.http, url))

    def read_notice(self, call: RawCall, *, at: datetime) -> Notice:
        params = call.single_params(of=call.body)
        text = signed_text(params, without=frozenset({"sign", "sign_type"}))
        if params.get("sign_type") != "RSA2" or not self._is_theirs(text, params.get("sign", "")):
            raise BadNotice("bad signature")
        if params.get("app_id") != self.merchant_id:
            raise BadNotice("for another merchant")
        if self.seller_id and params.get("seller_id") != self.seller_id:
            raise BadNotice("for another account")
        try:
            evidence = _evidence(params)
        except GatewayError as error:
            raise BadNotice(str(error)) from error
        return Notice(evidence=evidence, digest=sha256(text.encode()).hexdigest())

    def _page(self, wanted: PayRequest, about: dict[str, str]) -> str:
        """An address that says all of it, signed: nobody is asked before the buyer goes there."""
        kind = ("wap", "QUICK_WAP_WAY") if wanted.on_phone else ("page", "FAST_INSTANT_TRADE_PAY")
        method, product_code = f"alipay.trade.{kind[0]}.pay", kind[1]
        params = self._signed(
            method,
            {**about, "product_code": product_code},
            notify_url=wanted.notify_url,
            return_url=wanted.return_url,
        )
        return f"{self.base_url}?{urlencode(params)}"

    def _call(self, method: str, about: dict[str, str], **more: str) -> dict[str, Any]:
        """The node of the answer, signed by Alipay. Raises GatewayError."""
        content = fetch(self.http, "POST", self.base_url, data=self._signed(method, about, **more))
        name = f"{method.replace('.', '_')}_response"
        try:
            node = raw_node(content.decode(), name)
            signature = str(json.loads(content)["sign"])
            # Of the text that is verified, and of no other: an answer could name its node twice.
            said = json.loads(node, parse_float=str)
        except (ValueError, RecursionError, KeyError, TypeError):
            raise GatewayError("answered what cannot be read, or without a signature") from None
        if not isinstance(said, dict) or not self._is_theirs(node, signature):
            raise GatewayError("answered without a valid signature")
        if str(said.get("code")) in _TROUBLE or str(said.get("sub_code")).endswith("SYSTEM_ERROR"):
            raise GatewayError(_why(said))
        return said

    def _signed(self, method: str, about: dict[str, str], **more: str) -> dict[str, str]:
        params = {
            "app_id": self.merchant_id,
            "method": method,
            "format": "JSON",
            "charset": "utf-8",
            "sign_type": "RSA2",
            "timestamp": _stamp(self.clock()),
            "version": "1.0",
            "biz_content": json.dumps(about, ensure_ascii=False, separators=(",", ":")),
            **more,
        }
        try:
            return {**params, "sign": rsa.sign(signed_text(params), rsa.private_key(self.secret))}
        except rsa.BadKey as error:
            raise Unreachable(f"our own key is {error}") from error

    def _is_theirs(self, text: str, signature: str) -> bool:
        try:
            return rsa.verify(text, signature, rsa.public_key(self.provider_key))
        except rsa.BadKey:
            return False


def _make(account: Account, *, has_pages: bool) -> Gateway:
    return AlipayGateway(
        base_url=account.base_url,
        merchant_id=account.merchant_id,
        secret=account.secrets["secret"],
        provider_key=account.provider_key,
        seller_id=account.options.get("seller_id", ""),
        has_pages=has_pages,
        http=account.http,
        clock=account.clock,
    )


def _check_seller_id(text: str) -> None:
    if not re.fullmatch(r"2088[0-9]{12}", text, re.ASCII):
        raise ValueError(_("It has sixteen digits, and begins with 2088."))


_SETTINGS = (
    Setting(name="merchant_id", label=_("App id")),
    PROVIDER_KEY,
    PRIVATE_KEY,
    Setting(
        name="seller_id",
        label=_("Account of the seller (PID)"),
        help_text=_("If entered, notices about money of another account are refused."),
        is_required=False,
        check=_check_seller_id,
    ),
)
_ADDRESS = "https://openapi.alipay.com/gateway.do"
DRIVERS = (
    Driver(
        name="alipay_qr",
        label="支付宝当面付 (Alipay, QR code)",
        methods=("alipay",),
        settings=_SETTINGS,
        make=partial(_make, has_pages=False),
        base_url=_ADDRESS,
    ),
    Driver(
        name="alipay_page",
        label="支付宝网站支付 (Alipay, page on desktops and phones)",
        methods=("alipay",),
        settings=_SETTINGS,
        make=partial(_make, has_pages=True),
        base_url=_ADDRESS,
    ),
)


def raw_node(answer: str, name: str) -> str:
    """The text of the answer's object of that name, as it was sent and signed; empty if there is none."""
    _, found, rest = answer.partition(f'"{name}":')
    try:
        _, end = json.JSONDecoder().raw_decode(rest.lstrip())
    except (ValueError, RecursionError):
        return ""
    return rest.lstrip()[:end] if found else ""


def _evidence(said: Mapping[str, Any], *, came_in: bool = False) -> Evidence:
    """`came_in`: of a closed trade, that it was paid before. Raises GatewayError."""
    status = said.get("trade_status")
    is_refunded = came_in and status == "TRADE_CLOSED"
    return read_evidence(
        said,
        amount="total_amount",
        currency=CURRENCY,
        paid=status in PAID or is_refunded,
        gone_back=is_refunded or bool(said.get("refund_fee")),
    )


def _expect_trade(said: Mapping[str, Any], trade: Trade) -> None:
    """A signed yes to another call of ours is no yes to this one. Money that nobody here asked for has only
    Alipay's number. Raises GatewayError.
    """
    name, number = "out_trade_no", trade.out_trade_no
    if not number:
        name, number = "trade_no", trade.provider_txn_id
    if said.get(name) != number:
        raise GatewayError("answered about another trade")


def _minor(amount: object) -> int:
    try:
        return to_minor(str(amount), CURRENCY)
    except ValueError:
        raise GatewayError("answered with an unreadable amount") from None


def _why(said: Mapping[str, Any]) -> str:
    return str(said.get("sub_msg") or said.get("sub_code") or said.get("msg") or said.get("code"))[:200]


def _stamp(moment: datetime) -> str:
    return moment.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S")
