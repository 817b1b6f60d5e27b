"""How Stripe tells of its sessions."""

import json
import time
from dataclasses import dataclass

from sandbox import stripe
from sandbox.ledger import Trade
from sandbox.speakers import Telling


@dataclass(frozen=True)
class StripeSpeaker:
    """An event by POST, signed anew each time; any 2xx acknowledges it."""

    account: stripe.StripeAccount | None

    def knows(self, pid: str) -> bool:
        return self.account is not None and pid == self.account.account

    def telling(self, trade: Trade, *, word: str, corrupt: bool) -> Telling:
        assert self.account is not None
        body = json.dumps(stripe.completed(trade, is_paid=word == "TRADE_SUCCESS"), indent=2).encode()
        signed = body + b" " if corrupt else body
        signature = stripe.signature(signed, self.account.webhook_secret, now=time.time())
        return Telling(
            method="POST",
            url=trade.bill.notify_url,
            headers={"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": signature},
            body=body,
        )

    def is_heard(self, status: int, body: str) -> bool:
        return 200 <= status < 300

    def way_back(self, trade: Trade) -> str:
        return trade.bill.return_url
