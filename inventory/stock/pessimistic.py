"""A row lock: nobody else comes between the look and the act, because nobody else gets that far."""

from cardshop.common.locks import lock_rows
from inventory.errors import OutOfStock
from inventory.models import Stock
from inventory.stock.counter import add, has_room


def claim(*, variant_id: int, quantity: int, pool: str) -> int:
    """Lock the row, look, and claim. Raises OutOfStock, or OperationalError after waiting 3 s."""
    (found,) = lock_rows(Stock.objects.filter(variant_id=variant_id, pool=pool))
    for seen in found:
        if has_room(seen, quantity):
            add(Stock.objects.filter(pk=seen.pk), quantity)
            return int(seen.pk)
    raise OutOfStock
