"""A year of two shops, written by SQL: as many orders as card keys, and whatever comes with them.

What lasts grows with the orders. What somebody is still to do (unpaid orders, lines to fill in, what needs a
person) does not: no more waits in a shop that sells a hundred times as much, or nobody could work there.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cardshop.common.crypto import head_under

YEAR = Path(__file__).with_name("year.sql")
# How many of the newest orders are in each of the states in which something is still to come.
PENDING, CLOSING, PAID, BY_HAND, SHORT = 20, 25, 45, 165, 285
STUCK = 120  # receipts, refunds, each
COUNTED_ON = """
    SELECT format('SELECT setval(%L, (SELECT coalesce(max(%I), 0) + 1 FROM %I))',
        pg_get_serial_sequence(quote_ident(table_name), column_name), column_name, table_name)
    FROM information_schema.columns WHERE table_schema = 'public' AND is_identity = 'YES'"""


def fill(server: Any, orders: int, *, key_id: str, tell: Callable[[str], None]) -> None:
    """Write it all through a superuser's connection in autocommit, and let PostgreSQL look at what is there.

    Foreign keys are not looked up row by row: they hold by the way the rows are made.
    """
    counts = {
        "orders": orders,
        "pending": PENDING,
        "closing": CLOSING,
        "paid": PAID,
        "by_hand": BY_HAND,
        "short": SHORT,
        "stuck": STUCK,
        "head": head_under(key_id),
    }
    cursor = server.cursor()
    for setting in ("session_replication_role = replica", "synchronous_commit = off", "work_mem = '256MB'"):
        cursor.execute(f"SET {setting}")

    for what, statement in _statements():
        began = time.monotonic()
        cursor.execute(statement, counts)
        tell(f"{orders:>9,} orders: {cursor.rowcount:>9,} {what}, {time.monotonic() - began:.1f} s")
    cursor.execute("DROP TABLE scale_key, scale_line, scale_order, scale_variant")
    cursor.execute(COUNTED_ON)
    for (count_on,) in cursor.fetchall():
        cursor.execute(count_on)
    tell(f"{orders:>9,} orders: vacuum, analyze, checkpoint")
    cursor.execute("VACUUM (ANALYZE)")
    cursor.execute("CHECKPOINT")


def _statements() -> Iterator[tuple[str, str]]:
    """Each under its name, with `%` as the driver wants it."""
    for part in YEAR.read_text().removeprefix("-- ").split("\n-- "):
        what, _, statement = part.partition("\n")
        yield what, statement.replace(" % ", " %% ")
