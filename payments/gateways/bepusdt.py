"""BEpusdt: USDT on many networks, for prices in several currencies.

Protocol as read in the source (v03413/BEpusdt@fdbecad). Its traps beyond those of `usdt`:
- Numbers are signed as `%v` writes them, and sent otherwise: 1000000 is signed as 1e+06.
- Every minute it tells of a trade that it still waits for, and of one that has expired: signed like money.
- An amount of 0 would mean that any amount is the right one.
- Notices do not tell the currency. It is what the channel asks in.
- A notice counts as heard when it is answered with 200, whatever the words.
- A trade that was cancelled is not looked for on the chain any more, and what was sent to it a moment before
  is found by nobody but the owner of the wallet. So trades are left to expire: then what comes late is told.
"""

from collections.abc import Callable
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
from payments.gateways.epusdt import PAID, code_of, data_of, notice_of
from payments.gateways.exchange import fetch_json

# What it keeps to; anything else becomes its own setting.
SHORTEST, LONGEST = 180, 3600  # seconds
LONGEST_NAME = 64  # characters
NETWORK = "usdt.trc20"
_UNKNOWN = "order not found"


@dataclass(frozen=True, kw_only=True)
class BepusdtGateway(Lacking):
    """`secret` is the token of its API, `network` its "trade_type", `fiat` the currency of the prices."""

    base_url: str
    secret: str = field(repr=False)
    network: str
    fiat: str
    http: httpx.Client = field(repr=False)
    clock: Callable[[], datetime]

    notice_is_proof = True
    acknowledgement = "ok"
    can = frozenset[Ability]()

    def create(self, wanted: PayRequest) -> PayPage:
        if wanted.currency != self.fiat:
            raise GatewayRefused(f"this channel asks in {self.fiat}, not {wanted.currency}")
        left = int((wanted.expires_at - self.clock()).total_seconds())
        answer = self._signed_call(
            "api/v1/order/create-transaction",
            {
                "order_id": wanted.out_trade_no,
                "amount": usdt.price_of(wanted),
                "fiat": self.fiat,
                "trade_type": self.network,
                "name": wanted.subject[:LONGEST_NAME],
                "timeout": usdt.Number(min(max(left, SHORTEST), LONGEST)),
                "notify_url": wanted.notify_url,
                "redirect_url": wanted.return_url,
            },
        )
        if code_of(answer) != "200":
            raise GatewayRefused(str(answer.get("message", ""))[:200])
        opened = data_of(answer)
        number = usdt.number_of(opened.get("trade_id"), ours=opened.get("order_id"), wanted=wanted)
        return PayPage(url=str(opened.get("payment_url") or ""), reference=number)

    def query(self, trade: Trade) -> Evidence | None:
        said = self._look_up(trade)
        if said is None:
            return None
        if said.get("order_id") != trade.out_trade_no:
            raise GatewayError("answered about another trade")
        return usdt.evidence_of(
            ours=said.get("order_id"),
            theirs=said.get("trade_id"),
            amount=said.get("money"),
            currency=str(said.get("fiat")),
            paid=str(said.get("status")) == PAID,
        )

    def read_notice(self, call: RawCall, *, at: datetime) -> Notice:
        said, digest = usdt.read_signed(call.body, self.secret, spelling=usdt.general, signature="signature")
        return notice_of(said, digest, currency=self.fiat)

    def _look_up(self, trade: Trade) -> dict[str, Any] | None:
        """The trade as it stands; None if it is unknown, or nobody was told where to pay."""
        if not (number := _number(trade)):
            return None
        answer = self._call("api/v1/pay/info", {"trade_id": number})
        if code_of(answer) != "200":
            if answer.get("message") == _UNKNOWN:
                return None
            raise GatewayError(f"answered status_code {code_of(answer)}")
        said = data_of(answer)
        if said.get("trade_id") != number:
            raise GatewayError("answered about another trade")
        return said

    def _signed_call(self, path: str, said: dict[str, str]) -> dict[str, Any]:
        signature = usdt.sign(said, self.secret, spelling=usdt.general)
        return self._call(path, {**usdt.to_send(said), "signature": signature})

    def _call(self, path: str, said: dict[str, Any]) -> dict[str, Any]:
        return fetch_json(self.http, "POST", urljoin(self.base_url, path), json=said)


def _number(trade: Trade) -> str:
    return trade.provider_txn_id or trade.reference


def _make(account: Account) -> Gateway:
    return BepusdtGateway(
        base_url=account.base_url,
        secret=account.secrets["secret"],
        network=account.options.get("trade_type") or NETWORK,
        fiat=account.options.get("fiat") or usdt.FIAT,
        http=account.http,
        clock=account.clock,
    )


DRIVER = Driver(
    name="bepusdt",
    label="BEpusdt (USDT)",
    methods=usdt.METHODS,
    settings=(
        SHARED_KEY,
        usdt.network_setting("trade_type", r"usdt\.[a-z0-9]{1,20}", default=NETWORK),
        usdt.fiat_setting("CNY", "USD", "EUR", "JPY"),
    ),
    make=_make,
)
