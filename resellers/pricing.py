"""What a reseller pays for a unit: by their price list, or else what everybody does."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from django.db.models import FilteredRelation, Q

from inventory.models import Variant
from resellers.models import PriceList, Reseller
from resellers.models.prices import WHOLE


@dataclass(frozen=True)
class Tier:
    from_quantity: int
    unit_price_minor: int


@dataclass(frozen=True)
class Prices:
    """What a price list says of some variants. Without a list all pay the variants' own prices."""

    currency: str = ""
    discount_basis_points: int = 0
    _tiers: Mapping[int, Sequence[Tier]] = field(default_factory=dict)  # by variant id, ascending

    def tiers(self, variant: Variant) -> Sequence[Tier]:
        """Ascending; the first of them begins with one unit, so there is a price for every quantity."""
        said = self._tiers.get(variant.pk, ()) if variant.currency == self.currency else ()
        if said and said[0].from_quantity == 1:
            return said
        return [Tier(1, self._without_tier(variant)), *said]

    def unit_price(self, variant: Variant, quantity: int) -> int:
        reached = [tier for tier in self.tiers(variant) if tier.from_quantity <= quantity]
        return reached[-1].unit_price_minor

    def _without_tier(self, variant: Variant) -> int:
        if variant.currency != self.currency:
            return variant.price_minor
        return discounted(variant.price_minor, self.discount_basis_points)


def discounted(price_minor: int, basis_points: int) -> int:
    """Halves of a minor unit are rounded up. Nothing is free: at least 1."""
    return max(1, (price_minor * (WHOLE - basis_points) + WHOLE // 2) // WHOLE)


def prices_for(reseller: Reseller, variant_ids: Collection[int]) -> Prices:
    """As they are now, whatever `reseller` was read with. In one query, or none where there is no list."""
    if reseller.price_list_id is None:
        return Prices()
    rows = (
        PriceList.objects.filter(pk=reseller.price_list_id)
        .annotate(asked=FilteredRelation("tiers", condition=Q(tiers__variant__in=list(variant_ids))))
        .order_by("asked__variant", "asked__from_quantity")
        .values_list(
            "currency",
            "discount_basis_points",
            "asked__variant",
            "asked__from_quantity",
            "asked__unit_price_minor",
        )
    )
    tiers: dict[int, list[Tier]] = defaultdict(list)
    currency, discount = "", 0
    for currency, discount, variant_id, from_quantity, unit_price_minor in rows:  # noqa: B007  of the list
        if variant_id is not None:
            tiers[variant_id].append(Tier(from_quantity, unit_price_minor))
    return Prices(currency, discount, tiers)


def unit_prices(
    reseller: Reseller, quantities: Mapping[int, int], variants: Mapping[int, Variant]
) -> dict[int, int]:
    """In minor units of each variant's currency, by variant id; `quantities` and `variants` are by it too.

    At most one query. Stale once read: an order freezes it.
    """
    prices = prices_for(reseller, quantities.keys())
    return {pk: prices.unit_price(variants[pk], quantity) for pk, quantity in quantities.items()}
