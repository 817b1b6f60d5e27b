"""彩虹易支付 (EPay) v1: MD5 over sorted pairs, notices by GET, answers unsigned.

Protocol as read in the original's source (v03413/Epay@ee05bf1). Its traps:
- A notice is replayable for ever and the buyer's browser holds a signed copy (return_url), so it is
  a claim to be checked with `act=order`, never a proof.
- Amounts pass through a PHP float: "1.00" comes back as "1". Compare minor units, never text.
- `api.php` puts the key into the URL: URLs of this driver must not be logged.
- A refund has no number of ours: asked for twice it is made twice, and no call says which were made. So it
  is sent once, and whatever is not a clear yes or no is for a person to find out.

Copies of it differ, so some of what is fixed in the original is an option here.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import md5, sha256
from hmac import compare_digest
from typing import Any
from urllib.parse import quote_plus, urlencode, urljoin

import httpx
from django.utils.translation import gettext_lazy as _

from cardshop.common.money import to_minor, to_text
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
    named,
    read_evidence,
)
from payments.gateways.drivers import MERCHANT_ID, SHARED_KEY, Account, Driver, Setting
from payments.gateways.exchange import fetch_json

CURRENCY = "CNY"
METHODS = ("alipay", "wxpay", "qqpay", "bank")
UNSIGNED = {"sign", "sign_type"}
DEVICES = ("jump", "pc", "mobile", "qq", "wechat", "alipay")
_PHP_BLANKS = " \t\n\r\0\x0b"  # what trim() takes off: a space of another script is a value
# What the platform says when the provider behind it did not say yes: that one may have timed out.
PASSED_ON = "退款失败"
# Refunded, in part or whole, and frozen money did come.
REFUNDED = "2"
CAME_IN = {"1", REFUNDED, "3"}
_PAGE = 50
_MAX_PAGES = 10_000


def sign(params: Mapping[str, str], secret: str, *, encoded: bool = False) -> str:
    """MD5 (hex) of the signed text followed by the secret."""
    text = signed_text(params, encoded=encoded)
    return md5((text + secret).encode(), usedforsecurity=False).hexdigest()


def signed_text(params: Mapping[str, str], *, encoded: bool = False) -> str:
    """The sorted, non-empty pairs; their values as PHP's urlencode() writes them only if `encoded`."""
    pairs = sorted((k, v) for k, v in params.items() if v.strip(_PHP_BLANKS) and k not in UNSIGNED)
    return "&".join(f"{k}={quote_plus(v).replace('~', '%7E') if encoded else v}" for k, v in pairs)


def verify(params: Mapping[str, str], secret: str, *, encoded: bool = False) -> bool:
    """Whether `sign` fits. In bytes: on text, compare_digest raises for a non-ASCII `sign`."""
    return compare_digest(params.get("sign", "").encode(), sign(params, secret, encoded=encoded).encode())


def cut_bytes(text: str, limit: int) -> str:
    """`text` cut to at most `limit` bytes of UTF-8, never inside a character."""
    return text.encode()[:limit].decode(errors="ignore")


def _expect_success(said: Mapping[str, Any]) -> None:
    if str(said.get("code")) != "1":
        raise GatewayError(f"answered code {str(said.get('code'))[:10]}")


@dataclass(frozen=True, kw_only=True)
class EpayGateway(Lacking):
    """EPay v1. Yuan as text on the wire, fen (int) everywhere else.

    Orders go to the page `entry`; to one called submit.php the buyer's browser brings them.
    """

    base_url: str
    merchant_id: str
    secret: str = field(repr=False)
    method: str
    entry: str = "mapi.php"
    device: str = "jump"
    signs_encoded: bool = False
    http: httpx.Client = field(repr=False)

    notice_is_proof = False
    acknowledgement = "success"
    can = frozenset({Ability.LIST, Ability.REFUND})

    def create(self, wanted: PayRequest) -> PayPage:
        if wanted.currency != CURRENCY:
            raise GatewayRefused(f"EPay takes {CURRENCY}, not {wanted.currency}")
        params = {
            "pid": self.merchant_id,
            "type": self.method,
            "out_trade_no": wanted.out_trade_no,
            "notify_url": wanted.notify_url,
            "return_url": wanted.return_url,
            "name": cut_bytes(wanted.subject, 127),
            "money": to_text(wanted.amount_minor, CURRENCY),
        }
        if self.entry.endswith("submit.php"):
            return PayPage(url=f"{urljoin(self.base_url, self.entry)}?{urlencode(self._signed(params))}")
        # "jump" asks for an address to go to. Some have nothing but a QR code or a link all the same.
        params |= {"clientip": wanted.client_ip, "device": self.device}
        said = self._call("POST", self.entry, data=self._signed(params))
        if str(said.get("code")) != "1":
            raise GatewayRefused(str(said.get("msg", ""))[:200])
        return PayPage(
            url=str(said.get("payurl") or ""),
            qr=str(said.get("qrcode") or ""),
            app_url=str(said.get("urlscheme") or ""),
        )

    def query(self, trade: Trade) -> Evidence | None:
        said = self._api(act="order", **named(trade))
        if str(said.get("code")) == "-1":
            return None
        _expect_success(said)
        if said.get("out_trade_no") != trade.out_trade_no:
            raise GatewayError("answered about another trade")
        return trade_shown(said)

    def refund(self, wanted: RefundRequest) -> RefundState:
        said = self._call(
            "POST",
            "api.php",
            params={"act": "refund"},
            data={
                "pid": self.merchant_id,
                "key": self.secret,
                **named(wanted.trade),
                "money": to_text(wanted.amount_minor, CURRENCY),
            },
            once=True,
        )
        code, why = str(said.get("code")), str(said.get("msg", ""))[:200]
        if code.startswith("-") and not why.startswith(PASSED_ON):
            raise GatewayRefused(why)
        if code != "0":  # success is 0 here, and 1 everywhere else
            raise GatewayError(why or f"answered code {code[:10]}")
        expect_refund(said, wanted)
        return RefundState.DONE

    def read_notice(self, call: RawCall, *, at: datetime) -> Notice:
        params = call.single_params()
        if not verify(params, self.secret, encoded=self.signs_encoded):
            raise BadNotice("bad signature")
        return notice_of(params, self.merchant_id)

    def trades(self) -> Iterator[Evidence]:
        yield from pages_of(self._orders)

    def _orders(self, limit: int, offset: int) -> list[Evidence]:
        page = offset // limit + 1  # all that some clones know
        said = self._api(act="orders", limit=str(limit), offset=str(offset), page=str(page))
        _expect_success(said)
        return [trade_shown(row) for row in said.get("data") or []]

    def _signed(self, params: dict[str, str]) -> dict[str, str]:
        signature = sign(params, self.secret, encoded=self.signs_encoded)
        return {**params, "sign": signature, "sign_type": "MD5"}

    def _api(self, **params: str) -> dict[str, Any]:
        return self._call("GET", "api.php", params={"pid": self.merchant_id, "key": self.secret, **params})

    def _call(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        return fetch_json(self.http, method, urljoin(self.base_url, path), **request)


def _make(account: Account) -> Gateway:
    return EpayGateway(
        base_url=account.base_url,
        merchant_id=account.merchant_id,
        secret=account.secrets["secret"],
        method=account.method,
        entry=account.options.get("entry") or "mapi.php",
        device=account.options.get("device") or "jump",
        signs_encoded=account.options.get("signs_encoded") == "yes",
        http=account.http,
    )


def _check_entry(text: str) -> None:
    if not re.fullmatch(r"(?!.*\.\.)[A-Za-z0-9_-][A-Za-z0-9_./-]{0,99}", text, re.ASCII):
        raise ValueError(_("Enter a page below the provider's address, such as mapi.php."))


def _check_device(text: str) -> None:
    if text not in DEVICES:
        raise ValueError(_("Enter one of: %(words)s.") % {"words": ", ".join(DEVICES)})


def _check_yes(text: str) -> None:
    if text != "yes":
        raise ValueError(_("Enter yes, or leave it empty."))


DRIVER = Driver(
    name="epay_v1",
    label="EPay v1 (彩虹易支付, MD5)",
    methods=METHODS,
    settings=(
        MERCHANT_ID,
        SHARED_KEY,
        Setting(
            name="entry",
            label=_("Page that takes orders"),
            help_text=_(
                "mapi.php if left empty. With submit.php, for providers that have no mapi.php, the buyer's"
                " browser brings the order."
            ),
            is_required=False,
            check=_check_entry,
        ),
        Setting(
            name="device",
            label=_("Device to name"),
            help_text=_(
                "jump if left empty: the provider answers with a page of its own. Where it does not know"
                " that word: pc, mobile, qq, wechat or alipay."
            ),
            is_required=False,
            is_preference=True,
            check=_check_device,
        ),
        Setting(
            name="signs_encoded",
            label=_("Sign values URL-encoded"),
            help_text=_("yes for the few providers whose signatures do not fit otherwise."),
            is_required=False,
            is_preference=True,
            check=_check_yes,
        ),
    ),
    make=_make,
)


# What both versions share


def expect_refund(said: Mapping[str, Any], wanted: RefundRequest) -> None:
    """Raises GatewayError for a yes to something else than the refund that was `wanted`."""
    ours, theirs = wanted.trade.provider_txn_id, str(said.get("trade_no") or "")
    if ours and theirs and ours != theirs:
        raise GatewayError("answered about another trade")
    try:
        if "money" in said and to_minor(str(said["money"]), CURRENCY) != wanted.amount_minor:
            raise GatewayError("says that it refunded another amount")
    except ValueError:
        raise GatewayError("answered with an unreadable amount") from None


def trade_shown(said: Mapping[str, Any]) -> Evidence:
    """What an answer, or a row of a list, says of a trade. Raises GatewayError."""
    status = str(said.get("status"))
    return read_evidence(
        said, amount="money", currency=CURRENCY, paid=status in CAME_IN, gone_back=status == REFUNDED
    )


def notice_of(params: Mapping[str, str], merchant_id: str) -> Notice:
    """The content of a notice whose signature has been verified. Raises BadNotice."""
    if params.get("pid") != merchant_id:
        raise BadNotice("for another merchant")
    try:
        is_paid = params.get("trade_status") == "TRADE_SUCCESS"
        evidence = read_evidence(params, amount="money", currency=CURRENCY, paid=is_paid)
    except GatewayError as error:
        raise BadNotice(str(error)) from error
    return Notice(evidence=evidence, digest=sha256(signed_text(params).encode()).hexdigest())


def pages_of(orders: Callable[[int, int], list[Evidence]]) -> Iterator[Evidence]:
    """All of a list that is read by `orders(limit, offset)`. A page that brings nothing new is the last."""
    seen: set[str] = set()
    for number in range(_MAX_PAGES):
        fresh = [row for row in orders(_PAGE, number * _PAGE) if row.provider_txn_id not in seen]
        if not fresh:
            return
        yield from fresh
        seen.update(row.provider_txn_id for row in fresh)
