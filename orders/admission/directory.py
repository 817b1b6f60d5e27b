"""What is sold where, known to each process for a second, so that a click needs no database."""

import time
from dataclasses import dataclass

from django.db import DatabaseError, InterfaceError, connection

from cardshop.common.errors import NotHere
from cardshop.shops.selectors import shop_for_host
from cardshop.traffic.short_way import allowed
from inventory.models import Selling, Variant
from inventory.selectors import variant_for_sale
from orders.models import Sale

FRESH = 1.0  # seconds
_MOST = 10_000  # entries; strangers choose the names

_known: dict[tuple[str, str], tuple[float, "Listing | None"]] = {}


@dataclass(frozen=True, slots=True)
class Listing:
    """A variant for sale through the line, as a click needs to know it."""

    shop_id: int
    variant_id: int
    code: str
    least: int
    most: int
    registers_from: float = 0  # Unix seconds
    registers_until: float = 0

    def registers_at(self, moment: float) -> bool:
        """Whether a click at that moment is a registration for the opening."""
        return self.registers_from <= moment < self.registers_until


def queued_listing(host: str, code: str) -> Listing | None:
    """The listing under that host, if it is sold through the line; at most FRESH seconds old.

    While the database does not answer, the last known listing stands: what a click becomes is decided
    by the allocator in any case. Raises DatabaseError when nothing is known.
    """
    if not allowed(host):
        return None
    now = time.monotonic()
    known = _known.get((host, code))
    if known and now < known[0]:
        return known[1]
    if known:
        # One reads it anew; the others go on meanwhile with what they know.
        _known[host, code] = (now + FRESH, known[1])
    try:
        listing = _read(host, code)
    except (DatabaseError, InterfaceError):
        # In front of Django nobody else does; a connection that broke would stay broken.
        connection.close()
        if known is None:
            raise
        listing = known[1]
    if len(_known) >= _MOST:
        _known.clear()
    _known[host, code] = (now + FRESH, listing)
    return listing


def forget_listings() -> None:
    """For who changes them in the same process and asks again at once."""
    _known.clear()


def _read(host: str, code: str) -> Listing | None:
    try:
        variant = variant_for_sale(shop_for_host(host), code)
    except NotHere:
        return None
    if variant is None or variant.selling != Selling.QUEUED:
        return None
    return listing_of(variant, Sale.objects.filter(variant=variant).first())


def listing_of(variant: Variant, sale: Sale | None = None) -> Listing:
    """`sale` is needed only by who asks about registering."""
    begins, ends = (sale.registration_opens_at, sale.opens_at) if sale else (None, None)
    return Listing(
        shop_id=variant.shop_id,
        variant_id=variant.pk,
        code=variant.code,
        least=variant.min_quantity,
        most=variant.max_quantity,
        registers_from=begins.timestamp() if begins and ends else 0,
        registers_until=ends.timestamp() if begins and ends else 0,
    )
