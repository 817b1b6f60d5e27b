"""How a merchant of WeChat Pay is told of a trade, and how a trade looks to him."""

import json
import time
from dataclasses import dataclass
from datetime import datetime

from sandbox import wechat
from sandbox.ledger import BEIJING, Status, Trade
from sandbox.speakers import Telling
from sandbox.wechat import Account

STATES = {
    Status.UNPAID: "NOTPAY",
    Status.PAID: "SUCCESS",
    Status.REFUNDED: "REFUND",
    Status.CLOSED: "CLOSED",
}


@dataclass(frozen=True)
class WechatSpeaker:
    """Signed by POST; whatever answers 200 or 204 has heard it."""

    account: Account

    def knows(self, pid: str) -> bool:
        return pid == self.account.mchid

    def telling(self, trade: Trade, *, word: str, corrupt: bool) -> Telling:
        # Notices are of payments, also of those that were refunded since.
        said = shown(trade, self.account, state="SUCCESS" if word == "TRADE_SUCCESS" else word)
        body = wechat.notice(
            "TRANSACTION.SUCCESS", said, self.account, number=f"N{trade.trade_no}", created=iso(time.time())
        )
        headers = wechat.signed_headers(body, self.account, now=time.time(), corrupt=corrupt)
        return Telling(
            method="POST",
            url=trade.bill.notify_url,
            headers={**headers, "Content-Type": "application/json"},
            body=body,
        )

    def is_heard(self, status: int, body: str) -> bool:
        return status in (200, 204)

    def way_back(self, trade: Trade) -> str:
        return trade.bill.return_url


def shown(trade: Trade, account: Account, *, state: str = "") -> dict[str, object]:
    """A trade as WeChat tells it; only once it is paid is there a number of its own."""
    more = json.loads(trade.bill.more)
    said = {
        "appid": account.appid,
        "mchid": account.mchid,
        "out_trade_no": trade.bill.out_trade_no,
        "trade_type": more["trade_type"],
        "trade_state": state or STATES[trade.status],
        "amount": {"total": trade.money_fen, "currency": trade.bill.currency},
    }
    if trade.paid_at is None:
        return said
    return {
        **said,
        "transaction_id": trade.trade_no,
        "success_time": iso(trade.paid_at),
        "bank_type": "OTHERS",
        "payer": {"openid": more["openid"] or "o-sandbox-buyer"},
    }


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, BEIJING).isoformat(timespec="seconds")
