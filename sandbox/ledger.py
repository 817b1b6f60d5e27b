"""The provider's books, in one SQLite file: trades, the notices sent of them, and refunds.

One connection under one lock: every transaction is a handful of indexed rows, and SQLite has a
single writer in any case. With WAL, what is committed survives a killed process.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from enum import IntEnum
from pathlib import Path
from secrets import randbelow
from threading import Lock
from typing import NamedTuple

# The protocol that a bill came by, and is told of by.
EPAY_V1, EPAY_V2, ALIPAY, WECHAT = "epay_v1", "epay_v2", "alipay", "wechat"
EPUSDT, BEPUSDT, TOKENPAY = "epusdt", "bepusdt", "tokenpay"
STRIPE, PAYPAL = "stripe", "paypal"
BEIJING = timezone(timedelta(hours=8))  # the clock EPay numbers and stamps its trades by

SCHEMA = """
    CREATE TABLE IF NOT EXISTS trades (
        trade_no TEXT PRIMARY KEY,
        protocol TEXT NOT NULL DEFAULT 'epay_v1',
        pid TEXT NOT NULL,
        out_trade_no TEXT NOT NULL,
        type TEXT NOT NULL,
        name TEXT NOT NULL,
        asked_fen INTEGER NOT NULL CHECK (asked_fen > 0),
        param TEXT NOT NULL,
        notify_url TEXT NOT NULL,
        return_url TEXT NOT NULL,
        currency TEXT NOT NULL DEFAULT 'CNY',
        more TEXT NOT NULL DEFAULT '{}',
        money_fen INTEGER NOT NULL CHECK (money_fen > 0),
        status INTEGER NOT NULL DEFAULT 0,
        is_scanned INTEGER NOT NULL DEFAULT 0,
        created_at REAL NOT NULL,
        paid_at REAL,
        refunded_fen INTEGER NOT NULL DEFAULT 0 CHECK (refunded_fen BETWEEN 0 AND money_fen),
        repeat_of TEXT REFERENCES trades
    );
    -- A second capture of one bill (`repeat_of`) is the exception that this leaves room for.
    CREATE UNIQUE INDEX IF NOT EXISTS one_trade_per_bill
        ON trades (pid, out_trade_no) WHERE repeat_of IS NULL;
    CREATE TABLE IF NOT EXISTS notices (
        id INTEGER PRIMARY KEY,
        trade_no TEXT NOT NULL REFERENCES trades,
        due_at REAL NOT NULL,
        retries_left INTEGER NOT NULL,
        ended_at REAL,
        outcome TEXT,
        http_status INTEGER
    );
    CREATE INDEX IF NOT EXISTS notices_unsent ON notices (due_at) WHERE outcome IS NULL;
    CREATE TABLE IF NOT EXISTS refunds (
        refund_no TEXT PRIMARY KEY,
        trade_no TEXT NOT NULL REFERENCES trades,
        money_fen INTEGER NOT NULL CHECK (money_fen > 0),
        refunded_at REAL NOT NULL,
        pid TEXT NOT NULL DEFAULT '',
        out_refund_no TEXT
    );
    CREATE UNIQUE INDEX IF NOT EXISTS one_refund_per_number ON refunds (pid, out_refund_no);
"""
# What ledgers of earlier releases lack.
LATER = {
    "trades": {
        "protocol": "TEXT NOT NULL DEFAULT 'epay_v1'",
        "currency": "TEXT NOT NULL DEFAULT 'CNY'",
        "more": "TEXT NOT NULL DEFAULT '{}'",
        "is_scanned": "INTEGER NOT NULL DEFAULT 0",
    },
    "refunds": {"pid": "TEXT NOT NULL DEFAULT ''", "out_refund_no": "TEXT"},
}

FIRST_TRADE_OF_BILL = """
    SELECT * FROM trades
    WHERE pid = :pid AND out_trade_no = :out_trade_no AND repeat_of IS NULL"""
INSERT_TRADE = """
    INSERT INTO trades (trade_no, protocol, pid, out_trade_no, type, name, asked_fen, money_fen, param,
                        notify_url, return_url, currency, more, created_at, repeat_of)
    VALUES (:trade_no, :protocol, :pid, :out_trade_no, :type, :name, :asked_fen, :asked_fen, :param,
            :notify_url, :return_url, :currency, :more, :created_at, :repeat_of)
    RETURNING *"""


class Status(IntEnum):
    UNPAID = 0
    PAID = 1
    REFUNDED = 2  # in part or in whole: the original makes no difference
    CLOSED = 3
    APPROVED = 4  # by the buyer; the merchant has still to take the money


class Refused(Exception):
    """The books do not allow it; the message is what the original says."""


@dataclass(frozen=True, kw_only=True)
class Bill:
    """What a merchant asks to be paid, in minor units of `currency`. `more` is the protocol's own: JSON."""

    protocol: str
    pid: str
    out_trade_no: str
    type: str
    name: str
    asked_fen: int
    param: str
    notify_url: str
    return_url: str
    currency: str = "CNY"
    more: str = "{}"


@dataclass(frozen=True, kw_only=True)
class Trade:
    """A bill in the books. `money_fen` is what was asked until it is what was captured; `is_scanned` once a
    buyer has seen it.
    """

    trade_no: str
    bill: Bill
    money_fen: int
    status: Status
    is_scanned: int
    created_at: float
    paid_at: float | None
    refunded_fen: int
    repeat_of: str | None


@dataclass(frozen=True, kw_only=True)
class Refund:
    """Money given back, under the provider's number and, where the protocol has one, the merchant's."""

    refund_no: str
    trade_no: str
    money_fen: int
    refunded_at: float
    pid: str
    out_refund_no: str | None


class Plan(NamedTuple):
    """A notice to send at `due_at`, and again up to `retries_left` times if need be."""

    trade_no: str
    due_at: float
    retries_left: int


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One sending of a notice; while `outcome` is None it is still to happen."""

    id: int
    trade_no: str
    due_at: float
    retries_left: int
    ended_at: float | None = None
    outcome: str | None = None
    http_status: int | None = None


class Ledger:
    def __init__(self, path: Path) -> None:
        self._lock = Lock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._add_what_came_later()
        self._db.executescript(SCHEMA)

    def _add_what_came_later(self) -> None:
        for table, columns in LATER.items():
            there = {
                row["name"] for row in self._rows("SELECT name FROM pragma_table_info(:table)", table=table)
            }
            for name in columns.keys() - there if there else ():
                self._db.execute(f"ALTER TABLE {table} ADD COLUMN {name} {columns[name]}")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _rows(self, query: str, **values: object) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    # Trades

    def open_trade(self, bill: Bill, *, now: float) -> Trade:
        """The trade for `bill`: a new one, or the one a repeated call has opened before.

        Raises Refused if that one is paid, or was for a bill that differs in anything.
        """
        with self._transaction() as db:
            row = db.execute(FIRST_TRADE_OF_BILL, asdict(bill)).fetchone()
            if row is None:
                return _insert(db, bill, now=now)
        trade = _trade(row)
        if trade.status is Status.CLOSED:
            raise Refused(f"该订单({bill.out_trade_no})已关闭")
        if trade.status is not Status.UNPAID:
            raise Refused(f"该订单({bill.out_trade_no})已完成支付，请勿重复发起支付")
        if trade.bill != bill:
            raise Refused(f"该订单({bill.out_trade_no})支付参数有变化，请更换订单号重新发起支付")
        return trade

    def trade(self, trade_no: str) -> Trade | None:
        rows = self._rows("SELECT * FROM trades WHERE trade_no = :trade_no", trade_no=trade_no)
        return _trade(rows[0]) if rows else None

    def trade_of_bill(self, pid: str, out_trade_no: str) -> Trade | None:
        """The first trade of a bill; repeats of it are known by their trade_no only."""
        rows = self._rows(FIRST_TRADE_OF_BILL, pid=pid, out_trade_no=out_trade_no)
        return _trade(rows[0]) if rows else None

    def trades(self) -> list[Trade]:
        return [_trade(row) for row in self._rows("SELECT * FROM trades ORDER BY rowid")]

    def newest(self, *, limit: int, offset: int = 0, pid: str | None = None) -> list[Trade]:
        rows = self._rows(
            "SELECT * FROM trades WHERE :pid IS NULL OR pid = :pid"
            " ORDER BY rowid DESC LIMIT :limit OFFSET :offset",
            pid=pid,
            limit=limit,
            offset=offset,
        )
        return [_trade(row) for row in rows]

    def totals(self, pid: str) -> tuple[int, int]:
        """How many trades the merchant has, and the fen he keeps of them."""
        [row] = self._rows(
            "SELECT count(*), coalesce(sum(money_fen - refunded_fen) FILTER (WHERE status > 0), 0)"
            " FROM trades WHERE pid = :pid",
            pid=pid,
        )
        return row[0], row[1]

    def scan(self, trade_no: str) -> None:
        """Somebody looks at it: where a bill is no trade until then, it is one now."""
        with self._transaction() as db:
            db.execute("UPDATE trades SET is_scanned = 1 WHERE trade_no = ?", [trade_no])

    def close(self, trade_no: str) -> Status:
        """Take no money for it any more. Returns what it is now: closed, or paid before that."""
        with self._transaction() as db:
            db.execute(
                "UPDATE trades SET status = ? WHERE trade_no = ? AND status = ?",
                [Status.CLOSED, trade_no, Status.UNPAID],
            )
            [row] = db.execute("SELECT status FROM trades WHERE trade_no = ?", [trade_no]).fetchall()
        return Status(row["status"])

    # Money

    def approve(self, trade_no: str, *, plans: list[Plan]) -> list[Notice] | None:
        """The buyer agrees, once; None for who came second."""
        with self._transaction() as db:
            won = db.execute(
                "UPDATE trades SET status = ? WHERE trade_no = ? AND status = ?",
                [Status.APPROVED, trade_no, Status.UNPAID],
            ).rowcount
            return [_plan(db, plan) for plan in plans] if won else None

    def capture(
        self,
        trade_no: str,
        *,
        money_fen: int | None,
        plans: list[Plan],
        now: float,
        after: Status = Status.UNPAID,
    ) -> list[Notice] | None:
        """Take the money, once, and note the notices to send; None for who came second.

        `money_fen` is what was captured if it is not what was asked; `after` is what it has to be before.
        """
        with self._transaction() as db:
            won = db.execute(
                "UPDATE trades SET status = ?, paid_at = ?, money_fen = coalesce(?, money_fen)"
                " WHERE trade_no = ? AND status = ?",
                [Status.PAID, now, money_fen, trade_no, after],
            ).rowcount
            return [_plan(db, plan) for plan in plans] if won else None

    def open_repeat(self, trade_no: str, *, now: float) -> Trade:
        """A further trade for a bill that is paid. Raises Refused if it is not."""
        first = self.trade(trade_no)
        if first is None or first.status is Status.UNPAID:
            raise Refused("only a paid trade can be paid again")
        with self._transaction() as db:
            return _insert(db, first.bill, now=now, repeat_of=first.repeat_of or trade_no)

    def refund(
        self, trade_no: str, *, money_fen: int, now: float, out_refund_no: str | None = None
    ) -> Refund:
        """Give money back. Asked twice it refunds twice, but for those that bring a number of their own.

        Raises Refused, also for a number that was brought before with another trade or amount.
        """
        with self._transaction() as db:
            row = db.execute("SELECT * FROM trades WHERE trade_no = ?", [trade_no]).fetchone()
            trade = _trade(row)
            if before := _refund_called(db, trade.bill.pid, out_refund_no):
                if (before.trade_no, before.money_fen) != (trade_no, money_fen):
                    raise Refused("退款单号重复，且与原退款不一致")
                return before
            left = trade.money_fen - trade.refunded_fen
            if trade.status in (Status.UNPAID, Status.CLOSED, Status.APPROVED):
                raise Refused("该订单状态不支持退款！")
            if left == 0:
                raise Refused("该订单已全额退款！")
            if money_fen > left:
                raise Refused("退款金额不能超过该订单剩余可退款金额！")
            refund = Refund(
                refund_no=_draw_number(db, "SELECT 1 FROM refunds WHERE refund_no = ?", now=now),
                trade_no=trade_no,
                money_fen=money_fen,
                refunded_at=now,
                pid=trade.bill.pid,
                out_refund_no=out_refund_no,
            )
            db.execute(
                "INSERT INTO refunds (refund_no, trade_no, money_fen, refunded_at, pid, out_refund_no)"
                " VALUES (:refund_no, :trade_no, :money_fen, :refunded_at, :pid, :out_refund_no)",
                asdict(refund),
            )
            db.execute(
                "UPDATE trades SET status = ?, refunded_fen = refunded_fen + ? WHERE trade_no = ?",
                [Status.REFUNDED, money_fen, trade_no],
            )
            return refund

    def refund_called(self, pid: str, out_refund_no: str) -> Refund | None:
        with self._lock:
            return _refund_called(self._db, pid, out_refund_no)

    def refunds(self) -> list[Refund]:
        return [Refund(**row) for row in self._rows("SELECT * FROM refunds ORDER BY rowid")]

    # Notices

    def plan_notice(self, plan: Plan) -> Notice:
        with self._transaction() as db:
            return _plan(db, plan)

    def end_notice(
        self,
        notice: Notice,
        *,
        outcome: str,
        http_status: int | None,
        retry: Plan | None,
        now: float,
    ) -> Notice | None:
        """Write down how a sending ended and, in the same stroke, plan its retry.

        Returns the planned retry. Whoever writes second changes nothing and plans nothing.
        """
        with self._transaction() as db:
            won = db.execute(
                "UPDATE notices SET outcome = ?, http_status = ?, ended_at = ?"
                " WHERE id = ? AND outcome IS NULL",
                [outcome, http_status, now, notice.id],
            ).rowcount
            return _plan(db, retry) if won and retry else None

    def unsent_notices(self) -> list[Notice]:
        return [
            Notice(**row)
            for row in self._rows("SELECT * FROM notices WHERE outcome IS NULL ORDER BY due_at, id")
        ]

    def notices(self) -> list[Notice]:
        return [Notice(**row) for row in self._rows("SELECT * FROM notices ORDER BY id")]


def _trade(row: sqlite3.Row) -> Trade:
    columns = dict(row)
    bill = Bill(**{name: columns.pop(name) for name in Bill.__dataclass_fields__})
    return Trade(bill=bill, **{**columns, "status": Status(columns["status"])})


def _refund_called(db: sqlite3.Connection, pid: str, out_refund_no: str | None) -> Refund | None:
    rows = db.execute(
        "SELECT * FROM refunds WHERE pid = ? AND out_refund_no = ?", [pid, out_refund_no]
    ).fetchall()
    return Refund(**rows[0]) if rows else None


def _insert(db: sqlite3.Connection, bill: Bill, *, now: float, repeat_of: str | None = None) -> Trade:
    columns = {
        **asdict(bill),
        "trade_no": _draw_number(db, "SELECT 1 FROM trades WHERE trade_no = ?", now=now),
        "created_at": now,
        "repeat_of": repeat_of,
    }
    [row] = db.execute(INSERT_TRADE, columns).fetchall()
    return _trade(row)


def _plan(db: sqlite3.Connection, plan: Plan) -> Notice:
    [row] = db.execute(
        "INSERT INTO notices (trade_no, due_at, retries_left) VALUES (?, ?, ?) RETURNING *", plan
    ).fetchall()
    return Notice(**row)


def _draw_number(db: sqlite3.Connection, taken: str, *, now: float) -> str:
    """A number that `taken` does not find, in EPay's form: the second in Beijing, five digits."""
    second = datetime.fromtimestamp(now, BEIJING).strftime("%Y%m%d%H%M%S")
    while True:
        number = f"{second}{11111 + randbelow(88889)}"
        if db.execute(taken, [number]).fetchone() is None:
            return number
