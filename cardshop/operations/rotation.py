"""Rotation: every data key wrapped anew under the active key-encryption key, while the shop sells.

Ciphertexts stay what they are. A row is changed only if it is still as it was read, and rows in somebody's
hands are left for the next pass: rotation waits for nobody, and so nobody can wait for it in a circle.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import sleep

from django.db import connection
from django.db.models import Model, prefetch_related_objects

from cardshop.common.crypto import CannotOpen, Keyring, head_under
from cardshop.common.sealed import SealedColumn
from cardshop.operations.sealed_values import head_of

AT_ONCE = 500
PASSES = 20
PAUSE = 0.2  # seconds before rows that were in somebody's hands are looked at again
SWAP = """
    WITH rewrapped AS MATERIALIZED (
        SELECT * FROM unnest(%(ids)s::bigint[], %(old)s::bytea[], %(new)s::bytea[]) AS rewrapped(id, old, new)
    ), free AS MATERIALIZED (
        SELECT row.id FROM {table} AS row JOIN rewrapped ON rewrapped.id = row.id
        WHERE row.{column} = rewrapped.old ORDER BY row.id FOR NO KEY UPDATE OF row SKIP LOCKED
    )
    UPDATE {table} AS row SET {column} = rewrapped.new
    FROM free JOIN rewrapped ON rewrapped.id = free.id WHERE row.id = free.id RETURNING row.id"""


_READ = """
    SELECT * FROM {table} WHERE id > %(after)s AND {column} IS NOT NULL AND {head} <> %(active)s
    ORDER BY id LIMIT %(at_once)s"""


@dataclass
class Rotated:
    """What became of a column's rows: how many were rewrapped, why others do not open, who was busy."""

    rewrapped: int = 0
    unopened: dict[int, str] = field(default_factory=dict)
    busy: int = 0


def rotate(column: SealedColumn, ring: Keyring, *, tell: Callable[[Rotated], None]) -> Rotated:
    """Rewrap all rows of the column that stand under another key than the active one.

    `tell` hears of every portion. May be broken off and begun again at any time.
    """
    done = Rotated()
    for at in range(PASSES):
        done.busy = _pass(column, ring, done, tell)
        if not done.busy:
            break
        sleep(PAUSE * (at > 0))
    return done


def _pass(column: SealedColumn, ring: Keyring, done: Rotated, tell: Callable[[Rotated], None]) -> int:
    """Once through the column; returns how many rows were in somebody's hands."""
    busy, last = 0, 0
    while rows := _under_other_keys(column, ring, after=last):
        changes = []
        for row in rows:
            try:
                changes.append(
                    (row.pk, column.sealed(row), ring.rewrap(column.sealed(row), column.context_of(row)))
                )
            except CannotOpen as error:
                done.unopened[row.pk] = str(error)
        swapped = _swap(column, changes)
        done.rewrapped += swapped
        busy += len(changes) - swapped
        last = rows[-1].pk
        tell(done)
    return busy


def _under_other_keys(column: SealedColumn, ring: Keyring, *, after: int) -> list[Model]:
    sql = _READ.format(table=_table_of(column), column=_column_of(column), head=head_of(column))
    asked = {"after": after, "active": head_under(ring.active), "at_once": AT_ONCE}
    rows = list(column.model._default_manager.raw(sql, asked))
    prefetch_related_objects(rows, *column.related)
    return rows


def _swap(column: SealedColumn, changes: Sequence[tuple[int, bytes, bytes]]) -> int:
    """Compare and set; returns how many rows were still as they were read, and free."""
    if not changes:
        return 0
    sql = SWAP.format(table=_table_of(column), column=_column_of(column))
    ids, old, new = (list(each) for each in zip(*changes, strict=True))
    with connection.cursor() as cursor:
        cursor.execute(sql, {"ids": ids, "old": old, "new": new})
        return len(cursor.fetchall())


def _table_of(column: SealedColumn) -> str:
    return connection.ops.quote_name(column.model._meta.db_table)


def _column_of(column: SealedColumn) -> str:
    return connection.ops.quote_name(column.field)
