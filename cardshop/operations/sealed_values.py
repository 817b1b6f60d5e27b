"""All sealed values: under which key-encryption keys they stand, and whether they open."""

from collections.abc import Iterator

from django.db import connection

from cardshop.alerts.sealed import SEALED as ALERTS
from cardshop.common.crypto import CannotOpen, Keyring, key_id_of, keyring
from cardshop.common.sealed import SealedColumn
from inventory.sealed import SEALED as INVENTORY
from orders.sealed import SEALED as ORDERS
from payments.sealed import SEALED as PAYMENTS
from resellers.sealed import SEALED as RESELLERS
from suppliers.sealed import SEALED as SUPPLIERS

COLUMNS = [*INVENTORY, *ORDERS, *PAYMENTS, *RESELLERS, *SUPPLIERS, *ALERTS]
SAMPLE = 200  # values of each column, half of them the oldest
# Version, length and name: what a value begins with. Empty for what is no sealed value.
HEAD = """CASE WHEN length({sealed}) >= 2 AND get_byte({sealed}, 0) = 1
    THEN substring({sealed} FROM 1 FOR 2 + get_byte({sealed}, 1)) ELSE ''::bytea END"""


def head_of(column: SealedColumn) -> str:
    """The SQL expression."""
    return HEAD.format(sealed=connection.ops.quote_name(column.field))


def counts_by_key(column: SealedColumn) -> dict[str, int]:
    """Rows by the id of their key-encryption key; under the empty id what is no sealed value at all."""
    table = connection.ops.quote_name(column.model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {head_of(column)} AS head, count(*) FROM {table}"  # noqa: S608  names of ours
            f" WHERE {connection.ops.quote_name(column.field)} IS NOT NULL GROUP BY head"
        )
        rows = cursor.fetchall()
    counts: dict[str, int] = {}
    for head, count in rows:
        key_id = key_id_of(bytes(head))
        counts[key_id] = counts.get(key_id, 0) + count
    return counts


def findings() -> Iterator[str]:
    """A sentence for everything that buyers or providers cannot be served with.

    Every value's key has to be in CARD_KEY_KEK, and a sample of them to open. Nothing of a value is told.
    """
    ring = keyring()
    for column in COLUMNS:
        for key_id, count in sorted(counts_by_key(column).items()):
            if not key_id:
                yield f"{column.name}: {count} are no sealed values"
            elif key_id not in ring.keys:
                yield f"{column.name}: {count} stand under key {key_id!r}, which CARD_KEY_KEK does not hold"
        yield from _that_do_not_open(column, ring)


def _that_do_not_open(column: SealedColumn, ring: Keyring) -> Iterator[str]:
    rows = column.model._default_manager.exclude(**{column.field: None}).order_by("pk")
    rows = rows.select_related(*column.related) if column.related else rows
    sample = {row.pk: row for row in [*rows[: SAMPLE // 2], *rows.reverse()[: SAMPLE // 2]]}
    for row in sample.values():
        sealed = column.sealed(row)
        if key_id_of(sealed) not in ring.keys:
            continue  # told above, with all others
        try:
            ring.open(sealed, column.context_of(row))
        except CannotOpen as error:
            yield f"{column.name}: row {row.pk} does not open: {error}"
