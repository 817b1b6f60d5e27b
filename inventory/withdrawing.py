"""Keys leave the stock unsold: expired, or of a batch that is bad.

Only free keys go. Orders keep what they have claimed; where that leaves some of them without a key, the
stock is `short`, and whoever knows of orders is told (`payments.cover_shortage`). What is for everybody goes
first, and then what is set aside.
"""

from datetime import date, datetime

import structlog
from django.db import connection, transaction
from django.db.models import F
from django.utils.timezone import localdate

from cardshop.common.locks import lock_rows
from cardshop.outbox.services import promise
from cardshop.traffic.display_cache import forget_on_commit
from inventory.imports.running import break_off
from inventory.models import ImportFailure, KeyBatch, Stock, VoidBecause
from inventory.stock.supply import count_out

logger = structlog.get_logger(__name__)

AT_ONCE = 1000  # keys; whoever buys the variant waits meanwhile
EXPIRED = "expires_on < %(today)s"
OF_BATCH = "batch_id = %(batch)s"
# Under the Stock's lock: a delivery that has such a key in its hands is waited for.
VOID = """
    WITH chosen AS MATERIALIZED (
        SELECT id FROM inventory_cardkey
        WHERE variant_id = %(variant)s AND status = 'available' AND NOT is_reusable AND {which}
        ORDER BY expires_on, id LIMIT %(at_once)s FOR UPDATE
    )
    UPDATE inventory_cardkey AS card_key SET status = 'void', void_because = %(because)s
    FROM chosen WHERE card_key.id = chosen.id"""
WITH_EXPIRED = """
    SELECT id FROM inventory_variant AS variant WHERE EXISTS (
        SELECT FROM inventory_cardkey
        WHERE variant_id = variant.id AND status = 'available' AND expires_on < %(today)s
    ) ORDER BY id"""


def void_expired_keys(now: datetime) -> int:
    """Take all free keys out of stock that have expired by `now`; returns how many. Safe beside twins."""
    today = localdate(now)
    with connection.cursor() as cursor:
        cursor.execute(WITH_EXPIRED, {"today": today})
        variants = [row[0] for row in cursor.fetchall()]
    return sum(
        _void_all(variant_id, EXPIRED, VoidBecause.EXPIRED, now=now, today=today) for variant_id in variants
    )


def void_free_keys(batch: KeyBatch, now: datetime) -> int:
    """Take all keys of the batch out of stock that nobody has; returns how many. Repeating is a no-op.

    If it is still being imported, that ends here: what came in later would be for sale.
    """
    break_off(batch, ImportFailure.WITHDRAWN)
    return _void_all(batch.variant_id, OF_BATCH, VoidBecause.WITHDRAWN, now=now, batch=batch.pk)


def void_batches(batch_ids: list[int], now: datetime) -> None:
    """The same for these batches."""
    for batch in KeyBatch.objects.filter(pk__in=batch_ids):
        void_free_keys(batch, now)


def _void_all(variant_id: int, which: str, because: str, *, now: datetime, **about: int | date) -> int:
    voided = 0
    while count := _void_some(variant_id, which, because, now=now, **about):
        voided += count
    if voided:
        logger.info("keys withdrawn", variant=variant_id, count=voided, because=because)
    return voided


@transaction.atomic(durable=True)
def _void_some(variant_id: int, which: str, because: str, *, now: datetime, **about: int | date) -> int:
    (stocks,) = lock_rows(Stock.objects.filter(variant=variant_id))
    parameters = {**about, "variant": variant_id, "because": because, "at_once": AT_ONCE}
    with connection.cursor() as cursor:
        cursor.execute(VOID.format(which=which), parameters)
        count: int = cursor.rowcount
    if count:
        (public,) = (stock for stock in stocks if stock.pool == Stock.PUBLIC)
        leave_stock(public, count, now=now)
    return count


def leave_stock(public: Stock, count: int, *, now: datetime) -> None:
    """`count` keys of the variant have become void. The caller holds the locks of its Stocks in all pools."""
    if public.total is not None and (beyond := count - (public.total - public.claimed)) > 0:
        count -= _leave_set_aside(public.variant_id, beyond)
    count_out(Stock.objects.filter(pk=public.pk), count)
    forget_on_commit(public.shop_id)
    if public.total is not None and public.total - count < public.claimed:
        logger.warning("stock is short of keys", variant=public.variant_id)
        promise("payments.cover_shortage", [public.pk], shop_id=public.shop_id, now=now)


def _leave_set_aside(variant_id: int, most: int) -> int:
    """Of what is set aside and free; returns how many that were."""
    gone = 0
    pools = Stock.objects.filter(variant=variant_id).exclude(pool=Stock.PUBLIC).order_by("pk")
    for pk, free in pools.values_list("pk", F("total") - F("claimed")):
        part = min(free, most - gone)
        count_out(Stock.objects.filter(pk=pk), part)
        gone += part
    return gone
