"""Price lists, for tests."""

from collections.abc import Mapping

from inventory.models import Variant
from resellers.models import PriceList, Reseller


def give_prices(
    reseller: Reseller,
    tiers: Mapping[Variant, Mapping[int, int]] | None = None,
    *,
    discount: int = 0,
    onward: Mapping[Variant, int] | None = None,
    **fields: object,
) -> PriceList:
    """A list for this reseller: `tiers` are unit prices by quantity from which on they hold."""
    fields = {"shop": reseller.shop, "name": f"of {reseller.name}", "currency": "CNY", **fields}
    price_list = PriceList.objects.create(discount_basis_points=discount, **fields)
    for variant, steps in (tiers or {}).items():
        for from_quantity, price in steps.items():
            price_list.tiers.create(variant=variant, from_quantity=from_quantity, unit_price_minor=price)
    for variant, least in (onward or {}).items():
        price_list.onward_prices.create(variant=variant, least_minor=least)
    Reseller.objects.filter(pk=reseller.pk).update(price_list=price_list)
    reseller.price_list = price_list
    return price_list
