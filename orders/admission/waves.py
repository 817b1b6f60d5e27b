"""Waves: parts of the stock that are opened for sale later, by schedule or by button, each once."""

from datetime import datetime

from django.db import transaction
from django.db.models import Min, QuerySet

from cardshop.common.locks import lock_rows
from cardshop.traffic.display_cache import forget_on_commit
from inventory.models import Stock
from inventory.releases import release_more
from orders.models import Sale, Wave


@transaction.atomic
def release_wave(wave: Wave, *, now: datetime) -> int | None:
    """Open the wave's units for sale, as many of them as there are; None if somebody was faster.

    What there are no keys for is not made up later: `wave.released` says how many were opened.
    """
    # First the Stock: whoever pauses or edits a sale takes them in this order, too.
    lock_rows(Stock.objects.filter(variant=wave.sale.variant_id, pool=Stock.PUBLIC))
    if not unreleased(wave).update(released_at=now):
        return None
    wave.refresh_from_db()
    wave.released = release_more(wave.sale.variant_id, wave.quantity)
    wave.save(update_fields=["released"])
    forget_on_commit(wave.sale.shop_id)
    return wave.released


def unreleased(wave: Wave) -> QuerySet[Wave]:
    """The row, as long as nobody has released it."""
    return Wave.objects.filter(pk=wave.pk, released_at=None)


def release_due_waves(sale: Sale, *, now: datetime) -> None:
    for wave in Wave.objects.filter(sale=sale, released_at=None, opens_at__lte=now):
        release_wave(wave, now=now)


def next_wave_at(sale: Sale, *, now: datetime) -> datetime | None:
    """When the next one is due, of those that have a time."""
    planned = Wave.objects.filter(sale=sale, released_at=None, opens_at__gt=now)
    at: datetime | None = planned.aggregate(at=Min("opens_at"))["at"]
    return at
