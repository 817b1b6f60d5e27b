"""Units that are kept for one buyer, in a pool of their own, and units that come back from there.

Keys are not divided: a pool says how many of them may be claimed out of it, and together the pools promise no
more than there are.
"""

from django.db import transaction
from django.db.models import QuerySet

from cardshop.common.locks import lock_rows
from cardshop.traffic.display_cache import forget_on_commit
from inventory.errors import NotSoManyFree, Unlimited
from inventory.models import Stock, Variant
from inventory.releases import come_in
from inventory.stock.supply import count_in, count_out


@transaction.atomic
def set_aside(variant: Variant, *, pool: str, quantity: int) -> None:
    """Of what nobody has claimed; what waits for a wave goes first. Raises NotSoManyFree, Unlimited."""
    public, own = _locked(variant, pool)
    _require_free(public, quantity)
    count_out(_row(public), quantity)
    count_in(_row(own), quantity, opened=quantity)
    forget_on_commit(variant.shop_id)


@transaction.atomic
def take_back(variant: Variant, *, pool: str, quantity: int) -> None:
    """For everybody again, as if it had just come. Raises NotSoManyFree."""
    public, own = _locked(variant, pool)
    _require_free(own, quantity)
    count_out(_row(own), quantity)
    come_in(public, quantity)


def _locked(variant: Variant, pool: str) -> tuple[Stock, Stock]:
    for name in (Stock.PUBLIC, pool):
        Stock.objects.get_or_create(variant=variant, pool=name, defaults={"shop_id": variant.shop_id})
    (stocks,) = lock_rows(Stock.objects.filter(variant=variant, pool__in=[Stock.PUBLIC, pool]))
    by_pool = {stock.pool: stock for stock in stocks}
    return by_pool[Stock.PUBLIC], by_pool[pool]


def _require_free(stock: Stock, quantity: int) -> None:
    if stock.total is None:
        raise Unlimited
    if quantity > (free := stock.total - stock.claimed):
        raise NotSoManyFree(free)


def _row(stock: Stock) -> QuerySet[Stock]:
    return Stock.objects.filter(pk=stock.pk)
