"""Conditional pre-deduct: the WHERE clause is the check, so there is no moment between check and act."""

from django.db import connection

from inventory.errors import OutOfStock

CLAIM = """
    UPDATE inventory_stock SET claimed = claimed + %(quantity)s, version = version + 1
    WHERE variant_id = %(variant)s AND pool = %(pool)s
      AND (released IS NULL OR claimed + %(quantity)s <= released)
    RETURNING id"""


def claim(*, variant_id: int, quantity: int, pool: str) -> int:
    """Look and claim in one statement. Raises OutOfStock, or OperationalError after waiting 3 s."""
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, {"quantity": quantity, "variant": variant_id, "pool": pool})
        if row := cursor.fetchone():
            return int(row[0])
    raise OutOfStock
