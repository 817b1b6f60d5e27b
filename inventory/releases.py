"""What comes into stock and leaves it, and what of it is open for sale."""

from datetime import datetime

from django.db.models import F, QuerySet

from cardshop.common.locks import lock_rows
from cardshop.outbox.services import promise
from cardshop.traffic.display_cache import forget_on_commit
from inventory.errors import NotByKeys
from inventory.models import Fulfilment, Stock, Variant
from inventory.stock.supply import count_in


def add_to_stock(variant: Variant, count: int, *, now: datetime) -> None:
    """Count `count` new keys in, and open them for sale unless the variant is sold in waves. Whoever was
    short of a key is served first. Raises NotByKeys for a variant whose buyers get something else than keys.

    Call it last in the transaction that stores them: from here on every sale of the variant waits for
    its end. Whether there are waves is read under the lock, so that nobody who turns them off meanwhile
    leaves keys behind that no wave will open.
    """
    Stock.objects.get_or_create(variant=variant, pool=Stock.PUBLIC, defaults={"shop_id": variant.shop_id})
    ((stock,),) = lock_rows(_public(variant.pk))
    if not Variant.objects.filter(pk=variant.pk, fulfilment=Fulfilment.CARD_KEY).exists():
        raise NotByKeys  # its kind has changed, and cannot change now
    if stock.short:
        promise("orders.serve_waiting", [variant.pk], shop_id=variant.shop_id, now=now)
    come_in(stock, count)


def come_in(public: Stock, count: int) -> None:
    """So many more are for everybody, as far as no wave has to open them. The caller holds the Stock."""
    in_waves = Variant.objects.filter(pk=public.variant_id, sells_in_waves=True).exists()
    count_in(Stock.objects.filter(pk=public.pk), count, opened=0 if in_waves else count)
    forget_on_commit(public.shop_id)


def release_more(variant_id: int, most: int | None = None) -> int:
    """Open up to `most` more units for sale, or all there are; returns how many.

    In the caller's transaction, which holds the Stock from here on. Unlimited goods have nothing closed.
    """
    (stocks,) = lock_rows(_public(variant_id))
    count = 0
    for stock in stocks:
        if stock.released is not None:
            closed: int = stock.total - stock.released
            count = closed if most is None else min(most, closed)
            Stock.objects.filter(pk=stock.pk).update(released=F("released") + count, version=F("version") + 1)
    return count


def _public(variant_id: int) -> QuerySet[Stock]:
    return Stock.objects.filter(variant=variant_id, pool=Stock.PUBLIC)
