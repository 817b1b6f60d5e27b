"""A version: look without a lock, and act only if nobody has written since. Else look again.

Needs READ COMMITTED, PostgreSQL's default: each look has to see what others have committed by then.
"""

from random import uniform
from time import sleep

from django.db.models import QuerySet

from inventory.errors import OutOfStock, StockBusy
from inventory.models import Stock
from inventory.stock.counter import add, has_room

# A try is lost only to somebody who has just written the row, so ten of them mean that ten others got
# through. Their pauses add up to 0.1 s on average and 0.23 s at most, well below a request's patience.
TRIES = 10
PAUSE = 0.005  # seconds, times the tries lost; about one commit of the winner


def claim(*, variant_id: int, quantity: int, pool: str) -> int:
    """Look and claim, as often as TRIES. Raises OutOfStock, or StockBusy when overtaken every time."""
    for lost in range(TRIES):
        # Those who lost to one winner must not all come back in the same moment.
        sleep(uniform(0, PAUSE * lost))  # noqa: S311  jitter, not a secret
        seen = Stock.objects.filter(variant_id=variant_id, pool=pool).first()
        if seen is None or not has_room(seen, quantity):
            raise OutOfStock
        if add(unchanged(seen), quantity):
            return int(seen.pk)
    raise StockBusy


def unchanged(seen: Stock) -> QuerySet[Stock]:
    """The row, if it still has the version that was seen. Every write raises it."""
    return Stock.objects.filter(pk=seen.pk, version=seen.version)
