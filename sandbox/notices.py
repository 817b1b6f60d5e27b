"""Telling merchants that they were paid: a small pool of threads, a schedule, and its mischief."""

import logging
import time
from collections.abc import Mapping
from heapq import heappop, heappush
from threading import Condition, Thread

from sandbox import loopback
from sandbox.knobs import KnobBoard
from sandbox.ledger import Ledger, Notice, Plan
from sandbox.speakers import Speaker

logger = logging.getLogger("sandbox")

THREADS = 16
# Seconds after the first notice: 1 min, 3 min, 20 min, 1 h, 2 h, as EPay's cron.php has it.
RETRY_AT = (60, 180, 1200, 3600, 7200)
RETRY_GAPS = tuple(at - before for before, at in zip((0, *RETRY_AT), RETRY_AT, strict=False))

ACKNOWLEDGED = "acknowledged"
REFUSED = "refused"  # answered, but not as the protocol wants it
DROPPED = "dropped"  # lost on the way by the knob


def first_notices(trade_no: str, *, board: KnobBoard, now: float) -> list[Plan]:
    """The notices due for a payment made `now`. Copies beyond the first are never retried."""
    due_at = now + board.now.notice_delay_s
    copies = [Plan(trade_no, due_at, 0)] * (board.now.notice_copies - 1)
    return [Plan(trade_no, due_at, len(RETRY_GAPS)), *copies]


class NoticeSender:
    """Sends what is due. The ledger remembers what is unsent; a restart goes on from there."""

    def __init__(self, ledger: Ledger, board: KnobBoard, speakers: Mapping[str, Speaker]) -> None:
        self._ledger, self._board, self._speakers = ledger, board, speakers
        self._waiting: list[tuple[float, int, Notice]] = []  # a heap, soonest first
        self._held: list[Notice] = []  # due, but kept back by notice_reorder
        self._changed = Condition()

    def start(self) -> None:
        self.add(self._ledger.unsent_notices())
        for number in range(THREADS):
            Thread(target=self._work, name=f"notices-{number}", daemon=True).start()

    def add(self, notices: list[Notice]) -> None:
        with self._changed:
            for notice in notices:
                heappush(self._waiting, (notice.due_at, notice.id, notice))
            self._changed.notify(len(notices))

    def look_again(self) -> None:
        """Let the threads see that a knob was turned."""
        with self._changed:
            self._changed.notify()

    def _work(self) -> None:
        while True:
            for notice in self._next():
                try:
                    self._send(notice)
                except Exception:  # the thread has others to send; a restart finds this one again
                    logger.exception("notice %s is left unsent", notice.id)

    def _next(self) -> list[Notice]:
        """Wait until something may be sent; what comes back goes out in this order."""
        with self._changed:
            while True:
                wanted = self._board.now.notice_reorder
                if self._held and len(self._held) >= wanted:
                    released, self._held = self._held[::-1], []
                    return released
                pause = self._waiting[0][0] - time.time() if self._waiting else None
                if pause is not None and pause <= 0:
                    notice = heappop(self._waiting)[2]
                    if wanted <= 1:
                        return [notice]
                    self._held.append(notice)
                else:
                    self._changed.wait(pause)

    def _send(self, notice: Notice) -> None:
        outcome, http_status = self._outcome(notice)
        now = time.time()
        retry = None
        if outcome != ACKNOWLEDGED and notice.retries_left:
            gap = RETRY_GAPS[-notice.retries_left] * self._board.now.time_scale
            retry = Plan(notice.trade_no, now + gap, notice.retries_left - 1)
        planned = self._ledger.end_notice(
            notice, outcome=outcome, http_status=http_status, retry=retry, now=now
        )
        if planned:
            self.add([planned])

    def _outcome(self, notice: Notice) -> tuple[str, int | None]:
        trade = self._ledger.trade(notice.trade_no)
        speaker = self._speakers.get(trade.bill.protocol) if trade else None
        if trade is None or speaker is None or not speaker.knows(trade.bill.pid):
            return "merchant is gone", None
        if self._board.take("notice_drop"):
            return DROPPED, None
        telling = speaker.telling(
            trade, word=self._board.now.notice_status, corrupt=self._board.take("notice_corrupt")
        )
        try:
            http_status, body = loopback.call(
                telling.url, method=telling.method, headers=telling.headers, body=telling.body
            )
        except loopback.NoAnswer as exc:
            return f"no answer: {exc}", None
        return (ACKNOWLEDGED if speaker.is_heard(http_status, body) else REFUSED), http_status
