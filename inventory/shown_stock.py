"""What buyers are told of the stock. Pages and answers are made from this, never from the numbers behind."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from inventory.models import StockDisplay, Variant
from inventory.selectors import available_counts

FEW = 10  # and fewer


class StockLevel(StrEnum):
    """The words of the API."""

    IN_STOCK = "in_stock"
    LOW = "low"
    SOLD_OUT = "sold_out"
    UNTOLD = "untold"


@dataclass(frozen=True)
class ShownStock:
    """`count` is the exact number, where the merchant shows it; 0 for whatever is sold out. None: not told,
    or unlimited.
    """

    level: StockLevel
    count: int | None = None

    @property
    def is_sold_out(self) -> bool:
        return self.level == StockLevel.SOLD_OUT


def shown_stocks(variants: Iterable[Variant]) -> dict[int, ShownStock]:
    """By variant id, in one query; the variants' products have to be at hand. Stale once read."""
    variants = list(variants)
    counts = available_counts(variants)
    return {variant.pk: shown_stock(variant, counts[variant.pk]) for variant in variants}


def shown_stock(variant: Variant, free: int | None) -> ShownStock:
    """`free` units; None is unlimited. Fewer than one may order are none."""
    display = variant.product.stock_display
    if free is not None and free < variant.min_quantity:
        return ShownStock(StockLevel.SOLD_OUT, free if display == StockDisplay.EXACT else 0)
    if display == StockDisplay.HIDDEN:
        return ShownStock(StockLevel.UNTOLD)
    level = StockLevel.LOW if free is not None and free <= FEW else StockLevel.IN_STOCK
    return ShownStock(level, free if display == StockDisplay.EXACT else None)


def most_orderable(variant: Variant, free: int | None) -> int:
    """For the form: what one order may have, and no more than is there where that is no secret."""
    if free is None or variant.product.stock_display != StockDisplay.EXACT:
        return variant.max_quantity
    return min(free, variant.max_quantity)
