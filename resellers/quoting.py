"""What an order would cost now, and whether it could be had. Nothing is held by asking."""

from collections.abc import Mapping
from dataclasses import dataclass

from inventory.models import Variant
from inventory.windows import windows_of
from orders.errors import NotForSale
from resellers.catalogue import onward_minimums, variants_for
from resellers.errors import NotBuyable
from resellers.models import Reseller
from resellers.pricing import unit_prices
from resellers.stock import in_reach


@dataclass(frozen=True, kw_only=True)
class QuotedLine:
    variant: Variant
    quantity: int
    unit_price_minor: int
    onward_min_minor: int | None
    is_available: bool

    @property
    def total_minor(self) -> int:
        return self.unit_price_minor * self.quantity


def quote(reseller: Reseller, wanted: Mapping[str, int]) -> list[QuotedLine]:
    """A line for each code, in their order. In as many queries for one as for many.

    Raises NotForSale for what is not on sale here, NotBuyable for what this account cannot buy.
    """
    found = variants_for(reseller, wanted)
    for code in wanted:
        if code not in found:
            raise NotForSale(field=code)
    variants = {variant.pk: variant for variant in found.values()}
    reach, windows = in_reach(reseller, variants.values()), windows_of(variants.values())
    prices = unit_prices(reseller, {pk: wanted[variant.code] for pk, variant in variants.items()}, variants)
    onward = onward_minimums(reseller, variants.values())
    lines = []
    for code, quantity in wanted.items():
        variant = found[code]
        if variant.pk not in reach:
            raise NotBuyable(variant=code)
        window, available = windows.get(variant.pk), reach[variant.pk].available
        lines.append(
            QuotedLine(
                variant=variant,
                quantity=quantity,
                unit_price_minor=prices[variant.pk],
                onward_min_minor=onward.get(variant.pk),
                is_available=(available is None or quantity <= available)
                and not (window and (window.is_to_come or window.is_over)),
            )
        )
    return lines
