"""What the endpoints share: the books, the knobs, the merchants, and the taking of money."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.knobs import KnobBoard
from sandbox.ledger import PAYPAL, Ledger, Plan, Refused, Status, Trade
from sandbox.merchants import Merchants
from sandbox.notices import NoticeSender, first_notices
from sandbox.speakers import Speaker


@dataclass(frozen=True, kw_only=True)
class Gateway:
    ledger: Ledger
    board: KnobBoard
    sender: NoticeSender
    merchants: Merchants
    speakers: Mapping[str, Speaker]
    public_url: str

    def pay(self, trade_no: str, *, money_fen: int | None = None) -> bool:
        """Capture a trade and send word of it; True only for the call that did.

        Where merchants take the money themselves, it is agreed to, and nothing captured. May raise Refused.
        """
        trade = self.ledger.trade(trade_no)
        if trade is not None and trade.bill.protocol == self.board.now.pay_dead:
            return False
        now = time.time()
        plans = self._notices_of(trade_no, now)
        if self._is_taken_later(trade_no):
            if money_fen is not None:
                raise Refused("just the amount that was asked for can be agreed to")
            self.sender.add(self.ledger.approve(trade_no, plans=plans) or [])
            return False
        notices = self.ledger.capture(trade_no, money_fen=money_fen, plans=plans, now=now)
        self.sender.add(notices or [])
        return notices is not None

    def take(self, trade_no: str) -> bool:
        """Capture what its buyer has agreed to and send word of it; True only for the call that did."""
        now = time.time()
        plans = self._notices_of(trade_no, now)
        notices = self.ledger.capture(trade_no, money_fen=None, plans=plans, now=now, after=Status.APPROVED)
        self.sender.add(notices or [])
        return notices is not None

    def pay_again(self, trade_no: str, *, money_fen: int | None = None) -> Trade:
        """Take money a second time for a paid bill, as a trade of its own. May raise Refused."""
        if self._is_taken_later(trade_no):
            raise Refused("money is taken once for what was agreed to")
        repeat = self.ledger.open_repeat(trade_no, now=time.time())
        self.pay(repeat.trade_no, money_fen=money_fen)
        return repeat

    def notify(self, trade_no: str) -> None:
        """Send the notice once more, now and without retries."""
        self.sender.add([self.ledger.plan_notice(Plan(trade_no, time.time(), 0))])

    def webhook_url(self, registered: str) -> str:
        """Where an account's notices go, whose provider is not told with every trade."""
        return self.board.now.webhook_url or registered

    def pay_url(self, trade: Trade) -> str:
        return f"{self.public_url}/pay/{trade.trade_no}"

    def return_url(self, trade: Trade) -> str:
        """Where a buyer who has paid goes, with the signed claim in hand."""
        return self.speakers[trade.bill.protocol].way_back(trade)

    def knows(self, trade: Trade) -> bool:
        """Whether the trade's merchant is still one of ours."""
        speaker = self.speakers.get(trade.bill.protocol)
        return speaker is not None and speaker.knows(trade.bill.pid)

    def _is_taken_later(self, trade_no: str) -> bool:
        trade = self.ledger.trade(trade_no)
        return trade is not None and trade.bill.protocol == PAYPAL

    def _notices_of(self, trade_no: str, now: float) -> list[Plan]:
        trade = self.ledger.trade(trade_no)
        has_ear = trade is not None and trade.bill.notify_url
        return first_notices(trade_no, board=self.board, now=now) if has_ear else []
