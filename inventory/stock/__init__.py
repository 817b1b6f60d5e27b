"""The stock engine: who may have how many.

Three strategies decide the same question over the same row, and behind each of them stands the same
CHECK. `settings.STOCK_STRATEGY` names the one in use; processes that disagree about it oversell nothing.
"""

from typing import Protocol

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.models import F, Q

from cardshop.common.locks import lock_rows
from inventory.models import Stock
from inventory.stock import optimistic, pessimistic, prededuct
from inventory.stock.supply import give_back, give_back_set_aside


class Claim(Protocol):
    def __call__(self, *, variant_id: int, quantity: int, pool: str) -> int: ...


STRATEGIES: dict[str, Claim] = {
    "prededuct": prededuct.claim,
    "pessimistic": pessimistic.claim,
    "optimistic": optimistic.claim,
}
# The admin imports this in every process, so a mistake stops the start and not the first sale.
if settings.STOCK_STRATEGY not in STRATEGIES:
    raise ImproperlyConfigured(
        f"STOCK_STRATEGY is {settings.STOCK_STRATEGY!r}, but can only be {', '.join(STRATEGIES)}"
    )


def claim(*, variant_id: int, quantity: int, pool: str = Stock.PUBLIC) -> int:
    """Claim `quantity` of the variant until the transaction ends or `release`; returns the Stock's id.

    Call it last in a transaction: the row stays locked until commit. Raises OutOfStock; the optimistic
    strategy also StockBusy.
    """
    return STRATEGIES[settings.STOCK_STRATEGY](variant_id=variant_id, quantity=quantity, pool=pool)


def claim_locked(*, stock_id: int, quantity: int) -> None:
    """The same for whoever holds the row and has seen that so many are free. The CHECK refuses any more."""
    Stock.objects.filter(pk=stock_id).update(claimed=F("claimed") + quantity, version=F("version") + 1)


def release(*, stock_id: int, quantity: int) -> None:
    """Give back what was claimed, by any strategy. The CHECK refuses to give back more than that."""
    if not give_back(Stock.objects.filter(pk=stock_id, pool=Stock.PUBLIC), quantity):
        _release_set_aside(stock_id, quantity)


def _release_set_aside(stock_id: int, quantity: int) -> None:
    siblings = Stock.objects.filter(variant__stocks=stock_id)
    (stocks,) = lock_rows(siblings.filter(Q(pk=stock_id) | Q(pool=Stock.PUBLIC)))
    (own,) = (stock for stock in stocks if stock.pk == stock_id)
    (public,) = (stock for stock in stocks if stock.pool == Stock.PUBLIC)
    give_back_set_aside(own, public, quantity)
