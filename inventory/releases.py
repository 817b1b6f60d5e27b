"""Opening more of what is there for sale."""

from django.db.models import F

from cardshop.common.locks import lock_rows
from inventory.models import Stock


def release_more(variant_id: int, most: int | None = None) -> int:
    """Open up to `most` more units for sale, or all there are; returns how many.

    In the caller's transaction, which holds the Stock from here on. Unlimited goods have nothing closed.
    """
    (stocks,) = lock_rows(Stock.objects.filter(variant=variant_id, pool=Stock.PUBLIC))
    count = 0
    for stock in stocks:
        if stock.released is not None:
            closed: int = stock.total - stock.released
            count = closed if most is None else min(most, closed)
            Stock.objects.filter(pk=stock.pk).update(released=F("released") + count, version=F("version") + 1)
    return count
