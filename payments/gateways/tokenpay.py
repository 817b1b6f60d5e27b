"""TokenPay: USDT on TRON and on chains of Ethereum's kind.

Protocol as read in the source and its documents (LightCountry/TokenPay@f5f6f70). Its traps beyond those of
`usdt`:
- Decimals keep their zeros there: a price has to be sent as it is signed.
- Names are in PascalCase when they come in and in notices, and in camelCase in answers; a status is a number
  in notices and a word in answers.
- Queries do not tell the currency. It is a setting of the provider's, which opening a trade and notices tell.
- It sends a notice three times, one minute apart, and never again.
- It may be set to take a little less than was asked.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urljoin

import httpx

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

NETWORK = "USDT_TRC20"
PAID = "1"
PAID_IN_WORDS = {"Paid", PAID}
_UNKNOWN = "订单不存在"


@dataclass(frozen=True, kw_only=True)
class TokenPayGateway(Lacking):
    """`secret` is its "ApiToken", `network` its "Currency", `fiat` its "BaseCurrency"."""

    base_url: str
    secret: str = field(repr=False)
    network: str
    fiat: str
    http: httpx.Client = field(repr=False)

    notice_is_proof = True
    acknowledgement = "ok"
    can = frozenset[Ability]()

    def create(self, wanted: PayRequest) -> PayPage:
        if wanted.currency != self.fiat:
            raise GatewayRefused(f"this channel asks in {self.fiat}, not {wanted.currency}")
        said = {
            "OutOrderId": wanted.out_trade_no,
            # Where every payer has an address of his own: one for each attempt, so that no two share it.
            "OrderUserKey": wanted.out_trade_no,
            "ActualAmount": usdt.price_of(wanted),
            "Currency": self.network,
            "NotifyUrl": wanted.notify_url,
            "RedirectUrl": wanted.return_url,
        }
        said["Signature"] = usdt.sign(said, self.secret, spelling=usdt.as_sent)
        answer = self._call("POST", "CreateOrder", json=usdt.to_send(said))
        if answer.get("success") is not True:
            raise GatewayRefused(str(answer.get("message", ""))[:200])
        opened = _part(answer, "info")
        number = usdt.number_of(opened.get("Id"), ours=opened.get("OutOrderId"), wanted=wanted)
        if opened.get("BaseCurrency") != self.fiat:
            raise GatewayRefused(f"it asks in {str(opened.get('BaseCurrency'))[:10]}, not {self.fiat}")
        return PayPage(url=str(answer.get("data") or ""), reference=number)

    def query(self, trade: Trade) -> Evidence | None:
        number = trade.provider_txn_id or trade.reference
        if not number:
            return None  # nobody was told where to pay
        asked = {"Id": number}
        asked["Signature"] = usdt.sign(asked, self.secret, spelling=usdt.as_sent)
        answer = self._call("GET", "Query", params=asked)
        if answer.get("success") is not True:
            if _UNKNOWN in str(answer.get("message")):
                return None
            raise GatewayError("does not tell of the trade")
        said = _part(answer, "data")
        if (said.get("id"), said.get("outOrderId")) != (number, trade.out_trade_no):
            raise GatewayError("answered about another trade")
        return usdt.evidence_of(
            ours=trade.out_trade_no,
            theirs=number,
            amount=said.get("actualAmount"),
            currency=self.fiat,
            paid=str(said.get("status")) in PAID_IN_WORDS,
        )

    def read_notice(self, call: RawCall, *, at: datetime) -> Notice:
        said, digest = usdt.read_signed(call.body, self.secret, spelling=usdt.as_sent, signature="Signature")
        return usdt.notice_of(
            digest,
            ours=said.get("OutOrderId", ""),
            theirs=said.get("Id", ""),
            amount=said.get("ActualAmount", ""),
            currency=said.get("BaseCurrency", ""),
            paid=said.get("Status") == PAID,
        )

    def _call(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        return fetch_json(self.http, method, urljoin(self.base_url, path), **request)


def _part(answer: dict[str, Any], name: str) -> dict[str, Any]:
    part = answer.get(name)
    if not isinstance(part, dict):
        raise GatewayError(f"answered without {name}")
    return part


def _make(account: Account) -> Gateway:
    return TokenPayGateway(
        base_url=account.base_url,
        secret=account.secrets["secret"],
        network=account.options.get("currency") or NETWORK,
        fiat=account.options.get("fiat") or usdt.FIAT,
        http=account.http,
    )


DRIVER = Driver(
    name="tokenpay",
    label="TokenPay (USDT)",
    methods=usdt.METHODS,
    settings=(
        SHARED_KEY,
        usdt.network_setting("currency", r"USDT_TRC20|EVM_[A-Za-z0-9]+_USDT_[A-Z0-9]+", default=NETWORK),
        usdt.fiat_setting("CNY", "USD", "EUR", "HKD"),
    ),
    make=_make,
)
