"""How much can be sold of what comes from suppliers: what they say that they have."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

import structlog
from django.db.models import Sum

from inventory.errors import CountedByKeys
from inventory.models import Stock
from inventory.setting import MOST_FREE, set_free
from orders.models import Reservation
from orders.states import HoldStatus
from suppliers.drivers import upstream_of
from suppliers.drivers.base import NotNow, Unclear
from suppliers.models import SuppliedVariant, Supplier, SupplierOrder, SupplyStatus

logger = structlog.get_logger(__name__)

BELIEVED_FOR = timedelta(minutes=5)  # what a supplier has said who does not answer any more


def look_at_stock(*, clock: Callable[[], datetime]) -> None:
    """Ask every supplier, and let so much be sold. Who has not answered for BELIEVED_FOR has nothing."""
    for supplier in Supplier.objects.filter(is_enabled=True).order_by("pk"):
        variants = list(supplier.variants.select_related("variant").order_by("pk"))
        if not variants:
            continue
        try:
            told = upstream_of(supplier).stock(sorted({each.their_code for each in variants}))
        except (NotNow, Unclear) as error:
            Supplier.objects.filter(pk=supplier.pk).update(last_error=str(error)[:200])
            if supplier.answered_at is None or clock() >= supplier.answered_at + BELIEVED_FOR:
                _let_be_sold(variants, {})
        else:
            Supplier.objects.filter(pk=supplier.pk).update(answered_at=clock(), last_error="")
            _let_be_sold(variants, told)


def _let_be_sold(variants: Iterable[SuppliedVariant], told: Mapping[str, int | None]) -> None:
    for each in variants:
        there = told.get(each.their_code, 0)
        free = None if there is None else min(max(0, there - _promised(each)), MOST_FREE)
        if free == _free(each):
            continue
        try:
            set_free(each.variant, free)
        except CountedByKeys:
            logger.warning("supplied variant is not filled in by hand", variant=each.variant.code)


def _promised(each: SuppliedVariant) -> int:
    """What buyers here hold, or have paid for, and is not bought there yet: it is among what they have."""
    held = Reservation.objects.filter(item__variant=each.variant_id, status=HoldStatus.HELD)
    to_send = SupplierOrder.objects.filter(
        item__variant=each.variant_id, supplier=each.supplier_id, status=SupplyStatus.TO_SEND
    )
    return sum(rows.aggregate(sum=Sum("quantity"))["sum"] or 0 for rows in (held, to_send))


def _free(each: SuppliedVariant) -> int | None:
    """As it is; -1 where nothing is written yet."""
    stock = Stock.objects.filter(variant=each.variant_id, pool=Stock.PUBLIC).first()
    if stock is None:
        return -1
    return None if stock.total is None else stock.total - stock.claimed
