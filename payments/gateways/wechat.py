"""WeChat Pay v3: a QR code (Native), a page that opens WeChat on a phone (H5), or inside WeChat (JSAPI).

Sources: the platform's documents, and wechatpay-go@6dbd7ce. Only with WeChat's public key (`PUB_KEY_ID_…`):
no certificates are fetched, so a stranger's notice makes no call. Traps:
- "Closed" is also said of numbers that WeChat has never seen.
- A refund's answer is that it was accepted. The same `out_refund_no` is one refund, and after a failure it is
  that number that has to be sent again.
- REFUND says that some or all has gone back, and not how much.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta, timezone
from hashlib import sha1, sha256
from typing import Any
from urllib.parse import quote

from django.utils.translation import gettext_lazy as _

from cardshop.common.money import MAX_MINOR
from payments.gateways import wechat_signing
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
from payments.gateways.drivers import PRIVATE_KEY, PROVIDER_KEY, Account, Driver, Setting, check_address
from payments.gateways.wechat_api import SaidNo, WechatApi, text_of
from payments.gateways.wechat_bill import read_bill

CURRENCY = "CNY"
BEIJING = timezone(timedelta(hours=8))
LONGEST_SUBJECT, LONGEST_REASON = 127, 80  # bytes, to be safe
LEAST_LIFE = timedelta(seconds=70)  # WeChat wants a minute, by its own clock
H5_LASTS = timedelta(minutes=4)  # 5 by their word
BILL_READY = time(10)  # of the next day
_UNKNOWN = {"ORDERNOTEXIST", "RESOURCENOTEXISTS"}
_REFUND_STATES = {
    "SUCCESS": RefundState.DONE,
    "PROCESSING": RefundState.UNDER_WAY,
    "CLOSED": RefundState.FAILED,
    "ABNORMAL": RefundState.FAILED,  # the buyer's account is gone: a person has to see to it at WeChat
}


@dataclass(frozen=True, kw_only=True)
class WechatGateway(Lacking):
    """`api` calls for our merchant. `has_h5`: that product is switched on for him."""

    api: WechatApi
    app_id: str
    has_h5: bool
    api_v3_key: str = field(repr=False)

    notice_is_proof = True
    acknowledgement = ""
    can = frozenset(
        {Ability.CLOSE, Ability.REFUND, Ability.REPEAT_REFUND, Ability.ASK_REFUND, Ability.STATEMENT}
    )

    def create(self, wanted: PayRequest) -> PayPage:
        if wanted.currency != CURRENCY:
            raise GatewayRefused(f"WeChat Pay takes {CURRENCY}, not {wanted.currency}")
        if wanted.in_wechat and wanted.payer:
            said = self._order("jsapi", wanted, payer={"openid": wanted.payer})
            prepay_id = text_of(said, "prepay_id")
            call = wechat_signing.app_call(
                prepay_id, app_id=self.app_id, key=self.api.key, at=self.api.clock()
            )
            return PayPage(app_call=call)
        if wanted.on_phone and self.has_h5 and not wanted.in_wechat:
            scene = {"payer_client_ip": wanted.client_ip, "h5_info": {"type": "Wap"}}
            page = text_of(self._order("h5", wanted, scene_info=scene), "h5_url")
            return PayPage(url=f"{page}&redirect_url={quote(wanted.return_url, safe='')}")
        return PayPage(qr=text_of(self._order("native", wanted), "code_url"))

    def query(self, trade: Trade) -> Evidence | None:
        kind, number = ("id", trade.provider_txn_id) if trade.provider_txn_id else _by_ours(trade)
        try:
            said = self.api.call("GET", f"/v3/pay/transactions/{kind}/{number}?mchid={self.api.merchant_id}")
        except SaidNo as no:
            if no.code in _UNKNOWN:
                return None
            raise GatewayError(str(no)) from no
        if said.get("out_trade_no") != trade.out_trade_no:
            raise GatewayError("answered about another trade")
        return self._evidence(said)

    def close(self, trade: Trade) -> bool:
        kind, number = _by_ours(trade)
        try:
            said = self.api.call(
                "POST", f"/v3/pay/transactions/{kind}/{number}/close", {"mchid": self.api.merchant_id}
            )
        except SaidNo as no:
            if no.code == "ORDERCLOSED":
                return True
            if no.code == "ORDERPAID":
                raise GatewayRefused(str(no)) from no
            return False
        return not said  # otherwise somebody is typing their password

    def refund(self, wanted: RefundRequest) -> RefundState:
        trade = wanted.trade
        about = (
            {"transaction_id": trade.provider_txn_id}
            if trade.provider_txn_id
            else {"out_trade_no": trade.out_trade_no}
        )
        amount = {"refund": wanted.amount_minor, "total": wanted.paid_minor, "currency": wanted.currency}
        about |= {"out_refund_no": wanted.out_refund_no, "reason": _cut(wanted.reason, LONGEST_REASON)}
        try:
            said = self.api.call("POST", "/v3/refund/domestic/refunds", {**about, "amount": amount})
        except SaidNo as no:
            raise GatewayRefused(str(no)) from no
        return _refund_state(said, wanted)

    def ask_refund(self, wanted: RefundRequest) -> RefundState | None:
        try:
            said = self.api.call("GET", f"/v3/refund/domestic/refunds/{quote(wanted.out_refund_no, safe='')}")
        except SaidNo as no:
            if no.code in _UNKNOWN:
                return None
            raise GatewayError(str(no)) from no
        return _refund_state(said, wanted)

    def read_notice(self, call: RawCall, *, at: datetime) -> Notice:
        try:
            self.api.check_signed(call.headers, call.body, at=at)
            event = json.loads(call.body)
            kind = str(event["event_type"])
            content = wechat_signing.opened(event["resource"], self.api_v3_key)
            said = json.loads(content)
            if said["mchid"] != self.api.merchant_id:
                raise BadNotice("for another merchant")
            evidence = self._evidence(said) if kind.startswith("TRANSACTION.") else None
        except (wechat_signing.NotTheirs, GatewayError) as error:
            raise BadNotice(str(error)) from error
        except (ValueError, KeyError, TypeError, RecursionError):
            raise BadNotice("cannot be read") from None
        # Sent again, it is sealed and signed anew: what it says is the same.
        return Notice(evidence=evidence, digest=sha256(f"{kind}\n{content}".encode()).hexdigest())

    def statement(self, day: date) -> Iterator[Evidence | RefundEvidence]:
        """A day without trades has no bill, and neither has one that is not ready."""
        try:
            where = self.api.call("GET", f"/v3/bill/tradebill?bill_date={day.isoformat()}&bill_type=ALL")
        except SaidNo as no:
            ready = datetime.combine(day + timedelta(days=1), BILL_READY, BEIJING)
            if no.code == "NOSTATEMENTEXIST" and self.api.clock() >= ready:
                return
            raise GatewayError(str(no)) from no
        bill = self.api.download(text_of(where, "download_url"))
        if where.get("hash_type") != "SHA1" or sha1(bill, usedforsecurity=False).hexdigest() != where.get(
            "hash_value"
        ):
            raise GatewayError("the bill is not the one that was signed for")
        try:
            text = bill.decode()
        except UnicodeDecodeError:
            raise GatewayError("the bill cannot be read") from None
        yield from read_bill(text)

    def _order(self, kind: str, wanted: PayRequest, **more: object) -> dict[str, Any]:
        expires_at = max(wanted.expires_at, wanted.started_at + LEAST_LIFE)
        about = {
            "appid": self.app_id,
            "mchid": self.api.merchant_id,
            "description": _cut(wanted.subject, LONGEST_SUBJECT),
            "out_trade_no": wanted.out_trade_no,
            "time_expire": expires_at.astimezone(BEIJING).isoformat(timespec="seconds"),
            "notify_url": wanted.notify_url,
            "amount": {"total": wanted.amount_minor, "currency": CURRENCY},
            **more,
        }
        try:
            return self.api.call("POST", f"/v3/pay/transactions/{kind}", about)
        except SaidNo as no:
            if no.code == "ORDERPAID":
                # There is money under this number: it has to be asked about again.
                raise GatewayError(str(no)) from no
            raise GatewayRefused(str(no)) from no

    def _evidence(self, said: dict[str, Any]) -> Evidence:
        """What is said of a trade of ours. Raises GatewayError."""
        if said.get("mchid") != self.api.merchant_id or said.get("appid") != self.app_id:
            raise GatewayError("about the trade of another merchant")
        out_trade_no = text_of(said, "out_trade_no", longest=32)
        state = said.get("trade_state")
        if state not in ("SUCCESS", "REFUND"):
            return Evidence(
                out_trade_no=out_trade_no, provider_txn_id="", paid=False, amount_minor=0, currency=CURRENCY
            )
        amount = said.get("amount")
        if not isinstance(amount, dict):
            raise GatewayError("about a trade without an amount")
        return Evidence(
            out_trade_no=out_trade_no,
            provider_txn_id=text_of(said, "transaction_id", longest=64),
            paid=True,
            amount_minor=_fen(amount.get("total")),
            currency=text_of(amount, "currency", longest=3),
            gone_back=state == "REFUND",
        )


def _make(account: Account) -> Gateway:
    return WechatGateway(
        api=WechatApi(
            base_url=account.base_url,
            merchant_id=account.merchant_id,
            serial_no=account.options.get("serial_no", ""),
            private_key=account.secrets.get("private_key", ""),
            provider_key=account.provider_key,
            provider_key_id=account.options.get("provider_key_id", ""),
            http=account.http,
            clock=account.clock,
        ),
        app_id=account.options.get("app_id", ""),
        has_h5=account.options.get("h5") == "yes",
        api_v3_key=account.secrets.get("api_v3_key", ""),
    )


def _check_api_v3_key(text: str) -> None:
    if len(text.encode()) != 32:
        raise ValueError(_("WeChat's APIv3 key has 32 characters."))


def _check_key_id(text: str) -> None:
    if not text.startswith("PUB_KEY_ID_"):
        raise ValueError(_("The id of WeChat's public key begins with PUB_KEY_ID_."))


def _check_yes(text: str) -> None:
    if text not in ("", "yes"):
        raise ValueError(_("Enter yes, or nothing."))


DRIVER = Driver(
    name="wechat",
    label="微信支付 (WeChat Pay, APIv3)",
    methods=("wxpay",),
    settings=(
        Setting(name="merchant_id", label=_("Merchant id (mchid)")),
        Setting(name="app_id", label=_("App id of your official account or app (appid)")),
        Setting(name="serial_no", label=_("Serial number of your merchant certificate")),
        Setting(
            name="provider_key_id", label=_("Id of WeChat's public key (PUB_KEY_ID_…)"), check=_check_key_id
        ),
        PROVIDER_KEY,
        replace(PRIVATE_KEY, name="private_key"),
        Setting(name="api_v3_key", label=_("APIv3 key"), is_secret=True, check=_check_api_v3_key),
        Setting(
            name="app_secret",
            label=_("App secret of your official account"),
            help_text=_(
                "With it, buyers inside WeChat pay there at a touch (JSAPI). Without, they scan a code."
            ),
            is_secret=True,
            is_required=False,
        ),
        Setting(
            name="h5",
            label=_("Open WeChat from the browsers of phones (H5)"),
            help_text=_("Enter yes once WeChat has granted you H5 payments and knows the shop's domain."),
            is_required=False,
            is_preference=True,
            check=_check_yes,
        ),
        Setting(
            name="login_url",
            label=_("Address of WeChat's login, if it is not WeChat's own"),
            is_required=False,
            check=check_address,
        ),
    ),
    make=_make,
    has_app_calls=True,
    page_lasts=H5_LASTS,
    base_url="https://api.mch.weixin.qq.com",
)


def _refund_state(said: dict[str, Any], wanted: RefundRequest) -> RefundState:
    amount = said.get("amount")
    if said.get("out_refund_no") != wanted.out_refund_no or not isinstance(amount, dict):
        raise GatewayError("answered about another refund")
    if amount.get("refund") != wanted.amount_minor:
        raise GatewayError("answered about a refund of another amount")
    try:
        return _REFUND_STATES[str(said.get("status"))]
    except KeyError:
        raise GatewayError("answered without what has become of the refund") from None


def _by_ours(trade: Trade) -> tuple[str, str]:
    return "out-trade-no", quote(trade.out_trade_no, safe="")


def _fen(value: object) -> int:
    """A whole number of fen, and nothing that only looks like one."""
    if type(value) is not int or not 0 < value <= MAX_MINOR:
        raise GatewayError("without a readable amount")
    return value


def _cut(text: str, longest: int) -> str:
    return text.encode()[:longest].decode(errors="ignore")
