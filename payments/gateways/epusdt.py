"""epusdt, the original: USDT on TRON for prices in yuan.

Protocol as read in the source (assimon/epusdt@c0787d1). Its traps beyond those of `usdt`:
- Whether a trade is paid is told to anybody, unsigned: TLS to the address that the merchant has entered is
  all that vouches for it, as with EPay v1. Neither amount nor order is told along. So the amount that was
  agreed on when the trade was opened is kept in its reference; a transfer of another one is no payment here.
- An order number that it has seen is refused, though nobody was told where to pay.
- Every answer has the status 200; the real one is in `status_code`. 10005 is no outage: so many are paying
  the same price at once that no amount is free.
- Notices leave `block_transaction_id` empty, as they are made of what was known before the transfer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urljoin

import httpx

from cardshop.common.money import to_text
from payments.gateways import usdt
from payments.gateways.base import (
    Ability,
    Evidence,
    Gateway,
    GatewayError,
    GatewayRefused,
    Lacking,
    Notice,
    PayPage,
    PayRequest,
    RawCall,
    Trade,
)
from payments.gateways.drivers import SHARED_KEY, Account, Driver
from payments.gateways.exchange import fetch_json

CURRENCY = usdt.FIAT
PAID = "2"
_UNKNOWN, _BROKEN = "10008", "500"


@dataclass(frozen=True, kw_only=True)
class EpusdtGateway(Lacking):
    """`secret` is the token of its API."""

    base_url: str
    secret: str = field(repr=False)
    http: httpx.Client = field(repr=False)

    notice_is_proof = True
    acknowledgement = "ok"
    can = frozenset[Ability]()

    def create(self, wanted: PayRequest) -> PayPage:
        if wanted.currency != CURRENCY:
            raise GatewayRefused(f"epusdt takes {CURRENCY}, not {wanted.currency}")
        said = {
            "order_id": wanted.out_trade_no,
            "amount": usdt.price_of(wanted),
            "notify_url": wanted.notify_url,
            "redirect_url": wanted.return_url,
        }
        said["signature"] = usdt.sign(said, self.secret, spelling=usdt.fixed)
        answer = self._call("POST", "api/v1/order/create-transaction", json=usdt.to_send(said))
        if code_of(answer) != "200":
            raise GatewayRefused(str(answer.get("message", ""))[:200])
        opened = data_of(answer)
        number = usdt.number_of(opened.get("trade_id"), ours=opened.get("order_id"), wanted=wanted)
        agreed = usdt.evidence_of(
            ours=wanted.out_trade_no,
            theirs=number,
            amount=opened.get("amount"),
            currency=CURRENCY,
            paid=False,
        )
        if agreed.amount_minor != wanted.amount_minor:
            raise GatewayError("agreed on another amount")
        price = to_text(agreed.amount_minor, CURRENCY)
        return PayPage(url=str(opened.get("payment_url") or ""), reference=f"{number} {price}")

    def query(self, trade: Trade) -> Evidence | None:
        number, agreed = split_reference(trade.reference)
        if not number:
            return None  # nobody was told where to pay
        answer = self._call("GET", f"pay/check-status/{number}")
        if code_of(answer) == _UNKNOWN:
            return None
        if code_of(answer) != "200":
            raise GatewayError(f"answered status_code {code_of(answer)}")
        said = data_of(answer)
        if said.get("trade_id") != number:
            raise GatewayError("answered about another trade")
        return usdt.evidence_of(
            ours=trade.out_trade_no,
            theirs=number,
            amount=agreed,
            currency=CURRENCY,
            paid=str(said.get("status")) == PAID,
        )

    def read_notice(self, call: RawCall, *, at: datetime) -> Notice:
        said, digest = usdt.read_signed(call.body, self.secret, spelling=usdt.fixed, signature="signature")
        return notice_of(said, digest, currency=CURRENCY)

    def _call(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        answer = fetch_json(self.http, method, urljoin(self.base_url, path), **request)
        if code_of(answer) == _BROKEN:
            raise GatewayError(f"answered status_code {_BROKEN}")
        return answer


def _make(account: Account) -> Gateway:
    return EpusdtGateway(base_url=account.base_url, secret=account.secrets["secret"], http=account.http)


DRIVER = Driver(
    name="epusdt",
    label="epusdt (USDT)",
    methods=usdt.METHODS,
    settings=(SHARED_KEY,),
    make=_make,
)


def split_reference(reference: str) -> tuple[str, str]:
    """The provider's number of the trade, and the amount that was agreed on; both empty if there is none."""
    number, _, agreed = reference.partition(" ")
    return (number, agreed) if agreed else ("", "")


# What BEpusdt has kept


def code_of(answer: Mapping[str, Any]) -> str:
    return str(answer.get("status_code"))[:10]


def data_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What a yes says. Raises GatewayError."""
    data = answer.get("data")
    if not isinstance(data, dict):
        raise GatewayError("answered without data")
    return data


def notice_of(said: Mapping[str, str], digest: str, *, currency: str) -> Notice:
    """The content of a notice whose signature has been verified. Raises BadNotice."""
    return usdt.notice_of(
        digest,
        ours=said.get("order_id", ""),
        theirs=said.get("trade_id", ""),
        amount=said.get("amount", ""),
        currency=currency,
        paid=said.get("status") == PAID,
    )
