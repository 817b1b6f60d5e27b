"""The counter as keys come and go, and as claims are given back. Callers hold the row, or write it last.

`short` counts claimed units that no key stands behind any more, since theirs were withdrawn. New keys and
claims that are given back make up for them before anything is for sale again: see docs/adr/0015. It is
counted in the public pool alone, since keys are not divided among pools.
"""

from django.db.models import F, QuerySet
from django.db.models.functions import Greatest, Least

from inventory.errors import OutOfStock
from inventory.models import Stock


def count_in(rows: QuerySet[Stock], count: int, *, opened: int) -> None:
    """`count` keys have come, of which up to `opened` are for sale at once."""
    covered = Least(F("short"), count)
    rows.update(
        total=F("total") + count - covered,
        released=F("released") + Least(opened, count - covered),
        short=F("short") - covered,
        version=F("version") + 1,
    )


def count_out(rows: QuerySet[Stock], count: int) -> None:
    """`count` keys that nobody has are gone. What is open for sale stays open while there are keys for it."""
    left = Greatest(F("total") - count, F("claimed"))
    rows.filter(total__isnull=False).update(
        total=left,
        released=Least(F("released"), left),
        short=F("short") + Greatest(F("claimed") - F("total") + count, 0),
        version=F("version") + 1,
    )


def give_back(rows: QuerySet[Stock], quantity: int) -> int:
    """Claims are given back: to those that are short first, the rest for sale. Returns how many rows."""
    covered = Least(F("short"), quantity)
    return rows.update(
        total=F("total") - covered,
        released=F("released") - covered,
        claimed=F("claimed") - quantity,
        short=F("short") - covered,
        version=F("version") + 1,
    )


def give_back_set_aside(own: Stock, public: Stock, quantity: int) -> None:
    """The same of a pool that is set aside: a key that is free again is for whoever is short, in any pool."""
    covered = min(public.short, quantity)
    Stock.objects.filter(pk=own.pk).update(
        total=F("total") - covered,
        released=F("released") - covered,
        claimed=F("claimed") - quantity,
        version=F("version") + 1,
    )
    if covered:
        Stock.objects.filter(pk=public.pk).update(short=F("short") - covered, version=F("version") + 1)


def count_replaced(rows: QuerySet[Stock], count: int) -> None:
    """`count` sold keys become void, and as many free ones are sold in their place. Raises OutOfStock.

    What was claimed for the old ones is claimed for the new.
    """
    free = rows.filter(released__gte=F("claimed") + count)
    if not free.update(total=F("total") - count, released=F("released") - count, version=F("version") + 1):
        raise OutOfStock
