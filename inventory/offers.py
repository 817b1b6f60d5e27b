"""A variant as buyers are offered it: what is told of its stock, and when it may be had."""

from collections.abc import Iterable
from dataclasses import dataclass

from inventory.models import Variant
from inventory.shown_stock import ShownStock, shown_stocks
from inventory.windows import Window, windows_of


@dataclass(frozen=True)
class Offer:
    variant: Variant
    stock: ShownStock
    window: Window | None  # None: nothing limits its times, or a sale does

    @property
    def is_to_come(self) -> bool:
        return self.window is not None and self.window.is_to_come

    @property
    def is_over(self) -> bool:
        return self.window is not None and self.window.is_over

    @property
    def is_to_be_had(self) -> bool:
        return not (self.stock.is_sold_out or self.is_to_come or self.is_over)


def offers_of(variants: Iterable[Variant]) -> dict[int, Offer]:
    """By variant id, at this moment; the variants' products have to be at hand."""
    variants = list(variants)
    stocks, windows = shown_stocks(variants), windows_of(variants)
    return {one.pk: Offer(one, stocks[one.pk], windows.get(one.pk)) for one in variants}
