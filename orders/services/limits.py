"""How much one buyer, or one address, may have of a variant. Counted, not kept: see docs/adr/0006.

The caller holds the lock of the variant's Stock row. Everybody who claims takes it, so nobody else's
order can come between counting and committing.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from django.conf import settings
from django.db import connection

from cardshop.common.errors import DomainError
from inventory.models import Variant
from orders.errors import LimitReached, TooManyUnpaid

# Of a line that was given back, only the keys that went out count. Asked as a number, since an EXISTS could
# be planned as one hash of all keys that were ever delivered.
HAD = """
    SELECT "order".buyer_key, sum(CASE WHEN item.status = 'refunded' THEN (
               SELECT count(*) FROM orders_deliveredkey AS delivered
               WHERE delivered.item_id = item.id AND delivered.replaced_by_id IS NULL
           ) ELSE item.quantity END),
           count(*) FILTER (WHERE "order".status IN ('pending', 'closing'))
    FROM orders_order AS "order" JOIN orders_orderitem AS item ON item.order_id = "order".id
    WHERE "order".buyer_key = ANY(%(buyers)s) AND "order".status NOT IN ('expired', 'cancelled')
      AND item.variant_id = %(variant)s
    GROUP BY "order".buyer_key
    UNION ALL
    SELECT "order".address_key, 0, count(*)
    FROM orders_order AS "order" JOIN orders_orderitem AS item ON item.order_id = "order".id
    WHERE "order".address_key = ANY(%(addresses)s) AND "order".address_key <> ''
      AND "order".status IN ('pending', 'closing') AND item.variant_id = %(variant)s
    GROUP BY "order".address_key"""


@dataclass
class Allowance:
    """What the buyers and addresses of a batch have already of `variant`; count on with `count`."""

    variant: Variant
    units: dict[str, int] = field(default_factory=dict)
    unpaid: dict[str, int] = field(default_factory=dict)

    def refusal(self, *, buyer_key: str, address_key: str, quantity: int) -> type[DomainError] | None:
        """LimitReached or TooManyUnpaid if that would be too much; None if it may be."""
        limit = self.variant.per_buyer_limit
        if limit is not None and self.units.get(buyer_key, 0) + quantity > limit:
            return LimitReached
        if self.unpaid.get(buyer_key, 0) >= settings.UNPAID_HOLDS_PER_BUYER:
            return TooManyUnpaid
        if address_key and self.unpaid.get(address_key, 0) >= settings.UNPAID_HOLDS_PER_ADDRESS:
            return TooManyUnpaid
        return None

    def count(self, *, buyer_key: str, address_key: str, quantity: int, orders: int = 1) -> None:
        """Count an order more; or less, with a negative quantity and number of orders."""
        self.units[buyer_key] = self.units.get(buyer_key, 0) + quantity
        for key in filter(None, (buyer_key, address_key)):
            self.unpaid[key] = self.unpaid.get(key, 0) + orders


def allowance(variant: Variant, *, buyer_keys: Collection[str], address_keys: Collection[str]) -> Allowance:
    """Read what these buyers and addresses have of the variant. The caller holds its Stock's lock."""
    had = Allowance(variant)
    with connection.cursor() as cursor:
        cursor.execute(
            HAD, {"buyers": list(buyer_keys), "addresses": list(address_keys), "variant": variant.pk}
        )
        for key, units, unpaid in cursor.fetchall():
            had.units[key], had.unpaid[key] = int(units), int(unpaid)
    return had


def require_within_limit(variant: Variant, *, buyer_key: str, quantity: int) -> None:
    """Judge units that were paid for after their hold had ended. Raises LimitReached.

    The caller holds the Stock's lock. Unpaid holds do not matter: this one is paid.
    """
    had = allowance(variant, buyer_keys=[buyer_key], address_keys=[])
    limit = variant.per_buyer_limit
    if limit is not None and had.units.get(buyer_key, 0) + quantity > limit:
        raise LimitReached


def require_allowed(variant: Variant, *, buyer_key: str, address_key: str, quantity: int) -> None:
    """Judge an order that this transaction has just written. Raises LimitReached, TooManyUnpaid.

    The caller holds the Stock's lock and rolls back.
    """
    had = allowance(variant, buyer_keys=[buyer_key], address_keys=[address_key])
    had.count(buyer_key=buyer_key, address_key=address_key, quantity=-quantity, orders=-1)
    if refusal := had.refusal(buyer_key=buyer_key, address_key=address_key, quantity=quantity):
        raise refusal
