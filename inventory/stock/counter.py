"""What the strategies that look before they act have in common: the look in Python, the write in SQL."""

from django.db.models import F, QuerySet

from inventory.models import Stock


def has_room(seen: Stock, quantity: int) -> bool:
    """Whether `quantity` more fits into what is open for sale, going by the row as it was seen."""
    return seen.released is None or seen.claimed + quantity <= seen.released


def add(rows: QuerySet[Stock], quantity: int) -> bool:
    """Raise `claimed` and `version` of the row; False if no row matches.

    Relative, whatever was seen: a write that somebody else made meanwhile is never undone.
    """
    return rows.update(claimed=F("claimed") + quantity, version=F("version") + 1) == 1
