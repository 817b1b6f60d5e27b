"""How the USDT gateways tell of money: JSON by POST. The buyer comes back with nothing in hand."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from sandbox import epay, usdt
from sandbox.ledger import BEPUSDT, EPUSDT, TOKENPAY, Trade
from sandbox.merchants import Merchants
from sandbox.speakers import NOT_SO, Telling
from sandbox.usdt_api import EXPIRED, PAID, WAITING, network_of


@dataclass(frozen=True)
class UsdtSpeaker:
    """What the three have in common. Each has one merchant."""

    merchants: Merchants
    protocol: ClassVar[str]
    signature: ClassVar[str]

    def knows(self, pid: str) -> bool:
        return pid == self.protocol and pid in self.merchants.usdt

    def telling(self, trade: Trade, *, word: str, corrupt: bool) -> Telling:
        said = self.said(trade, word)
        key = self.merchants.usdt[self.protocol] + (NOT_SO if corrupt else "")
        body = {**said, self.signature: self.sign(said, key)}
        return Telling(
            method="POST",
            url=trade.bill.notify_url,
            headers={"Content-Type": "application/json"},
            body=json.dumps(body).encode(),
        )

    def said(self, trade: Trade, word: str) -> dict[str, object]:
        raise NotImplementedError

    def sign(self, said: Mapping[str, object], key: str) -> str:
        raise NotImplementedError

    def is_heard(self, status: int, body: str) -> bool:
        return body == "ok"

    def way_back(self, trade: Trade) -> str:
        return trade.bill.return_url


@dataclass(frozen=True)
class EpusdtSpeaker(UsdtSpeaker):
    """Of the transfer it says nothing, as the original does not: it tells what it knew before."""

    protocol = EPUSDT
    signature = "signature"

    def said(self, trade: Trade, word: str) -> dict[str, object]:
        return {
            "trade_id": trade.trade_no,
            "order_id": trade.bill.out_trade_no,
            "amount": usdt.yuan(trade.money_fen),
            "actual_amount": float(usdt.usdt_of(trade.bill.asked_fen)),
            "token": usdt.WALLET,
            "block_transaction_id": "",
            "status": _status(word),
        }

    def sign(self, said: Mapping[str, object], key: str) -> str:
        return usdt.epusdt_sign(said, key)


@dataclass(frozen=True)
class BepusdtSpeaker(EpusdtSpeaker):
    """Any 200 will do."""

    protocol = BEPUSDT

    def said(self, trade: Trade, word: str) -> dict[str, object]:
        return {
            **super().said(trade, word),
            "actual_amount": usdt.usdt_of(trade.bill.asked_fen),
            "block_transaction_id": usdt.transfer_of(trade.trade_no),
        }

    def sign(self, said: Mapping[str, object], key: str) -> str:
        return usdt.bepusdt_sign(said, key)

    def is_heard(self, status: int, body: str) -> bool:
        return status == 200


@dataclass(frozen=True)
class TokenPaySpeaker(UsdtSpeaker):
    """All is text, but for the status."""

    protocol = TOKENPAY
    signature = "Signature"

    def said(self, trade: Trade, word: str) -> dict[str, object]:
        return {
            "ActualAmount": epay.as_decimal(trade.money_fen),
            "Amount": usdt.usdt_of(trade.bill.asked_fen),
            "BaseCurrency": trade.bill.currency,
            "BlockTransactionId": usdt.transfer_of(trade.trade_no),
            "Currency": network_of(trade),
            "CurrencyName": "USDT",
            "Id": trade.trade_no,
            "IsDynamicAmount": 0,
            "OutOrderId": trade.bill.out_trade_no,
            "Status": {PAID: 1, EXPIRED: 2, WAITING: 0}[_status(word)],
            "ToAddress": usdt.WALLET,
        }

    def sign(self, said: Mapping[str, object], key: str) -> str:
        return usdt.tokenpay_sign(said, key)

    def is_heard(self, status: int, body: str) -> bool:
        return status == 200 and body == "ok"


def _status(word: str) -> int:
    return {"TRADE_SUCCESS": PAID, "EXPIRED": EXPIRED}.get(word, WAITING)
