"""How merchants are told of their money, protocol by protocol: what is sent, and what counts as heard."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlencode

from sandbox import alipay, epay
from sandbox.ledger import Trade
from sandbox.merchants import Merchants

FORM = "application/x-www-form-urlencoded;charset=utf-8"
# What another word is signed for, so that the signature does not fit.
NOT_SO = "NOT_SO"


@dataclass(frozen=True, kw_only=True)
class Telling:
    """One HTTP call to a merchant."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Speaker(Protocol):
    """One protocol, and the merchants that use it."""

    def knows(self, pid: str) -> bool:
        """Whether that merchant is one of ours."""

    def telling(self, trade: Trade, *, word: str, corrupt: bool) -> Telling:
        """The notice of a trade. `word` is the knob notice_status: what it says, validly signed, if it is not
        TRADE_SUCCESS; `corrupt`, and the signature does not fit.
        """

    def is_heard(self, status: int, body: str) -> bool:
        """Whether that answer acknowledges a notice."""

    def way_back(self, trade: Trade) -> str:
        """Where a buyer who has paid goes; only asked where the bill has a return_url."""


@dataclass(frozen=True)
class EpaySpeaker:
    """EPay v1: by GET, and the buyer takes the same signed claim along."""

    merchants: Merchants

    def knows(self, pid: str) -> bool:
        return pid in self.merchants.keys

    def telling(self, trade: Trade, *, word: str, corrupt: bool) -> Telling:
        claim = self._claim(trade, word)
        if corrupt:
            claim["sign"] = self._claim(trade, NOT_SO)["sign"]
        return Telling(method="GET", url=epay.with_query(trade.bill.notify_url, claim))

    def is_heard(self, status: int, body: str) -> bool:
        return "success" in body  # the word is all that counts; the originals do not look at the status

    def way_back(self, trade: Trade) -> str:
        return epay.with_query(trade.bill.return_url, self._claim(trade, "TRADE_SUCCESS"))

    def _claim(self, trade: Trade, word: str) -> dict[str, str]:
        return epay.signed(_said(trade, word), self.merchants.keys[trade.bill.pid])


@dataclass(frozen=True)
class EpayV2Speaker(EpaySpeaker):
    """EPay v2: the same, under RSA."""

    def knows(self, pid: str) -> bool:
        return pid in self.merchants.rsa

    def _claim(self, trade: Trade, word: str) -> dict[str, str]:
        more = {"api_trade_no": f"SANDBOX{trade.trade_no}", "buyer": "sandbox-buyer"}
        signed = self.merchants.signed({**_said(trade, word), **more})
        return {name: str(value) for name, value in signed.items()}


@dataclass(frozen=True)
class AlipaySpeaker:
    """Alipay: a form by POST."""

    merchants: Merchants

    def knows(self, pid: str) -> bool:
        return pid in self.merchants.rsa

    def telling(self, trade: Trade, *, word: str, corrupt: bool) -> Telling:
        claim = self._claim(trade, word)
        if corrupt:
            claim["sign"] = self._claim(trade, NOT_SO)["sign"]
        return Telling(
            method="POST",
            url=trade.bill.notify_url,
            headers={"Content-Type": FORM},
            body=urlencode(claim).encode(),
        )

    def is_heard(self, status: int, body: str) -> bool:
        return body.strip() == "success"

    def way_back(self, trade: Trade) -> str:
        return epay.with_query(trade.bill.return_url, self._claim(trade, "TRADE_SUCCESS"))

    def _claim(self, trade: Trade, word: str) -> dict[str, str]:
        assert self.merchants.platform is not None
        said = {
            "notify_type": "trade_status_sync",
            "notify_id": f"N{trade.trade_no}",
            "app_id": trade.bill.pid,
            "seller_id": alipay.seller_of(trade.bill.pid),
            "trade_no": trade.trade_no,
            "out_trade_no": trade.bill.out_trade_no,
            "subject": trade.bill.name,
            "total_amount": epay.as_decimal(trade.money_fen),
            "trade_status": alipay.status_of(trade) if word == "TRADE_SUCCESS" else word,
            "gmt_payment": alipay.stamp(trade.paid_at or 0),
            "buyer_logon_id": "san***@example.com",
        }
        if trade.refunded_fen:
            said["refund_fee"] = epay.as_decimal(trade.refunded_fen)
        return alipay.signed_notice(said, self.merchants.platform)


def _said(trade: Trade, word: str) -> dict[str, str]:
    said = {
        "pid": trade.bill.pid,
        "trade_no": trade.trade_no,
        "out_trade_no": trade.bill.out_trade_no,
        "type": trade.bill.type,
        "name": trade.bill.name,
        "money": epay.as_php_float(trade.money_fen),
        "trade_status": word,
    }
    return {**said, "param": trade.bill.param} if trade.bill.param else said
