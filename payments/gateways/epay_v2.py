"""彩虹易支付 (EPay) v2: RSA both ways over the text that v1 signs, and a time stamp in every call.

Protocol as read in the original's source (v03413/Epay@ee05bf1). Its traps:
- Only answers with code 0 are signed, so a "no" is anybody's; a "yes" that is not signed is none.
- The platform takes MD5, too, for who has not set the account to RSA only. What comes here has to be RSA.
- The list of orders is an array, and arrays are not signed: a statement is no proof of money.
- Few of the providers behind a platform can close a trade. The trade stays "unpaid" in either case.
- A refund is one under its number only once the platform has booked it. Asked twice at the same time, or
  again after the provider behind it did not answer, it is made twice.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urljoin

import httpx

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
    RefundRequest,
    RefundState,
    Trade,
    Unreachable,
    named,
)
from payments.gateways.drivers import MERCHANT_ID, PRIVATE_KEY, PROVIDER_KEY, Account, Driver
from payments.gateways.epay import (
    CURRENCY,
    METHODS,
    PASSED_ON,
    cut_bytes,
    expect_refund,
    notice_of,
    pages_of,
    signed_text,
    trade_shown,
)
from payments.gateways.exchange import fetch_json

WINDOW = timedelta(seconds=300)  # that a time stamp may be off, as on the platform's side
_UNKNOWN = "订单号不存在"
_NOT_OPEN = "该订单状态不支持关闭"
_NO_SUCH_REFUND = "退款记录不存在"


@dataclass(frozen=True, kw_only=True)
class EpayV2Gateway(Lacking):
    """EPay v2. `secret` is the merchant's private key, `provider_key` the platform's public one."""

    base_url: str
    merchant_id: str
    secret: str = field(repr=False)
    provider_key: str
    method: str
    http: httpx.Client = field(repr=False)
    clock: Callable[[], datetime]

    notice_is_proof = True
    list_is_proof = False
    acknowledgement = "success"
    can = frozenset({Ability.CLOSE, Ability.REFUND, Ability.ASK_REFUND, Ability.LIST})

    def create(self, wanted: PayRequest) -> PayPage:
        if wanted.currency != CURRENCY:
            raise GatewayRefused(f"EPay takes {CURRENCY}, not {wanted.currency}")
        said = self._call(
            "api/pay/create",
            {
                # Asks for an address to go to. Some channels have nothing but a QR code all the same.
                "method": "jump",
                "type": self.method,
                "out_trade_no": wanted.out_trade_no,
                "notify_url": wanted.notify_url,
                "return_url": wanted.return_url,
                "name": cut_bytes(wanted.subject, 127),
                "money": to_text(wanted.amount_minor, CURRENCY),
                "clientip": wanted.client_ip,
            },
        )
        if not _is_yes(said):
            raise GatewayRefused(str(said.get("msg", ""))[:200])
        info = str(said.get("pay_info") or "")
        match said.get("pay_type"):
            case "jump":
                return PayPage(url=info)
            case "qrcode":
                return PayPage(qr=info)
            case "urlscheme":
                return PayPage(app_url=info)
        raise GatewayError("answered with a payment page of another kind")

    def query(self, trade: Trade) -> Evidence | None:
        said = self._call("api/pay/query", named(trade))
        if not _is_yes(said):
            if said.get("msg") == _UNKNOWN:
                return None
            raise GatewayError(f"answered code {str(said.get('code'))[:10]}")
        if said.get("out_trade_no") != trade.out_trade_no:
            raise GatewayError("answered about another trade")
        return trade_shown(said)

    def close(self, trade: Trade) -> bool:
        said = self._call("api/pay/close", named(trade))
        if not _is_yes(said) and str(said.get("msg", "")).startswith(_NOT_OPEN):
            raise GatewayRefused("no longer unpaid")
        return _is_yes(said)

    def refund(self, wanted: RefundRequest) -> RefundState:
        params = {
            **named(wanted.trade),
            "money": to_text(wanted.amount_minor, CURRENCY),
            "out_refund_no": wanted.out_refund_no,
        }
        said = self._call("api/pay/refund", params, once=True)
        if not _is_yes(said):
            why = str(said.get("msg", ""))[:200]
            if not str(said.get("code")).startswith("-") or why.startswith(PASSED_ON):
                raise GatewayError(why or f"answered code {str(said.get('code'))[:10]}")
            raise GatewayRefused(why)
        _expect_number(said, wanted)
        expect_refund(said, wanted)
        return RefundState.DONE

    def ask_refund(self, wanted: RefundRequest) -> RefundState | None:
        said = self._call("api/pay/refundquery", {"out_refund_no": wanted.out_refund_no})
        if not _is_yes(said):
            if said.get("msg") == _NO_SUCH_REFUND:
                return None
            raise GatewayError(f"answered code {str(said.get('code'))[:10]}")
        _expect_number(said, wanted)
        expect_refund(said, wanted)
        match str(said.get("status")):
            case "1":
                return RefundState.DONE
            case "0":
                return RefundState.UNDER_WAY
        raise GatewayError("answered with another state of a refund")

    def read_notice(self, call: RawCall, *, at: datetime) -> Notice:
        params = call.single_params()
        if params.get("sign_type") != "RSA":
            raise BadNotice("not signed with RSA")
        if not self._is_theirs(params, at):
            raise BadNotice("bad signature, or out of time")
        return notice_of(params, self.merchant_id)

    def trades(self) -> Iterator[Evidence]:
        yield from pages_of(self._orders)

    def _orders(self, limit: int, offset: int) -> list[Evidence]:
        said = self._call("api/merchant/orders", {"limit": str(limit), "offset": str(offset)})
        if not _is_yes(said):
            raise GatewayError(f"answered code {str(said.get('code'))[:10]}")
        return [trade_shown(row) for row in said.get("data") or []]

    def _call(self, path: str, params: dict[str, str], *, once: bool = False) -> dict[str, Any]:
        """The answer; a yes only with the platform's signature under it. Raises GatewayError."""
        params = {**params, "pid": self.merchant_id, "timestamp": str(int(self.clock().timestamp()))}
        try:
            signature = rsa.sign(signed_text(params), rsa.private_key(self.secret))
        except rsa.BadKey as error:
            raise Unreachable(f"our own key is {error}") from error
        params |= {"sign": signature, "sign_type": "RSA"}
        said = fetch_json(self.http, "POST", urljoin(self.base_url, path), data=params, once=once)
        if _is_yes(said) and not self._is_theirs(_texts(said), self.clock()):
            raise GatewayError("answered without a valid signature")
        return said

    def _is_theirs(self, params: Mapping[str, str], at: datetime) -> bool:
        stamp = params.get("timestamp", "")
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) == 10):
            return False
        if abs(at.timestamp() - int(stamp)) > WINDOW.total_seconds():
            return False
        try:
            key = rsa.public_key(self.provider_key)
        except rsa.BadKey:
            return False
        return rsa.verify(signed_text(params), params.get("sign", ""), key)


def _make(account: Account) -> Gateway:
    return EpayV2Gateway(
        base_url=account.base_url,
        merchant_id=account.merchant_id,
        secret=account.secrets["secret"],
        provider_key=account.provider_key,
        method=account.method,
        http=account.http,
        clock=account.clock,
    )


DRIVER = Driver(
    name="epay_v2",
    label="EPay v2 (彩虹易支付, RSA)",
    methods=METHODS,
    settings=(MERCHANT_ID, PROVIDER_KEY, PRIVATE_KEY),
    make=_make,
)


def _is_yes(said: Mapping[str, Any]) -> bool:
    return said.get("code") == 0


def _expect_number(said: Mapping[str, Any], wanted: RefundRequest) -> None:
    """A signed yes to another call of ours is no yes to this one. Raises GatewayError."""
    if said.get("out_refund_no") != wanted.out_refund_no:
        raise GatewayError("answered about another refund")


def _texts(said: Mapping[str, Any]) -> dict[str, str]:
    """What of a JSON answer is signed: its plain values, as text."""
    return {name: _text(value) for name, value in said.items() if not isinstance(value, dict | list)}


def _text(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)
