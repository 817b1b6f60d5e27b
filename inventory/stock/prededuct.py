"""Conditional pre-deduct: the WHERE clause is the check, so there is no moment between check and act."""

from django.db import connection
from django.db.models import F

from inventory.errors import OutOfStock
from inventory.models import Stock

CLAIM = """
    UPDATE inventory_stock SET claimed = claimed + %(quantity)s, version = version + 1
    WHERE variant_id = %(variant)s AND pool = %(pool)s
      AND (released IS NULL OR claimed + %(quantity)s <= released)
    RETURNING id"""


def claim(*, variant_id: int, quantity: int, pool: str = Stock.PUBLIC) -> int:
    """Claim `quantity` of the variant until the transaction ends or `release`; returns the Stock's id.

    Call it last in the transaction: the row stays locked until commit. Raises OutOfStock.
    """
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, {"quantity": quantity, "variant": variant_id, "pool": pool})
        if row := cursor.fetchone():
            return int(row[0])
    raise OutOfStock


def release(*, stock_id: int, quantity: int) -> None:
    """Give back what was claimed. The CHECK refuses to give back more than that."""
    Stock.objects.filter(pk=stock_id).update(claimed=F("claimed") - quantity, version=F("version") + 1)
