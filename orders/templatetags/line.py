"""Template words of sales and their lines. The catalogue's pages use them, which orders stand above."""

from collections.abc import Iterable

from django import template
from django.utils.translation import ngettext

from cardshop.common.clock import db_now
from inventory.models import Product, Variant
from inventory.offers import Offer
from orders.admission.display import SaleState, sale_states, sale_to_tell_of, wait_in_words

register = template.Library()
register.filter("wait_in_words", wait_in_words)


@register.simple_tag
def sales_of(variants: Iterable[Variant]) -> dict[int, SaleState]:
    """`{% sales_of variants as sales %}`: how far their sales are, by variant id."""
    variants = list(variants)
    return sale_states(variants, db_now()) if variants else {}


@register.filter
def of_variant(sales: dict[int, SaleState], variant: Variant) -> SaleState | None:
    return sales.get(variant.pk)


@register.filter
def of_product(sales: dict[int, SaleState], product: Product) -> SaleState | None:
    """What a product's card tells of its sales when nothing is in stock."""
    return sale_to_tell_of(product.variants.all(), sales)


@register.filter
def until(seconds: int) -> str:
    """Seconds as a long countdown shows them: 93784 → 1 day 2:03:04. static/js/countdown.js does too."""
    days, rest = divmod(seconds, 24 * 3600)
    text = f"{rest // 3600}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{_days(days).format(days=days)} {text}" if days else text


@register.simple_tag
def days_word(days: int) -> str:
    """How so many days are called, with `{days}` where the number goes: for the script."""
    return _days(days)


def _days(days: int) -> str:
    return ngettext("{days} day", "{days} days", days)


@register.simple_tag
def any_to_come(sales: dict[int, SaleState], offers: Iterable[Offer]) -> bool:
    return any(state.is_to_come for state in sales.values()) or any(offer.is_to_come for offer in offers)
