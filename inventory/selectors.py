"""Reads for display: no locks, stale once read, never to sell by."""

from collections.abc import Collection, Iterable

from django.db.models import Prefetch, QuerySet

from cardshop.shops.models import Shop
from inventory.models import BuyerField, Category, Fulfilment, Product, ProductImage, Selling, Stock, Variant


def listed_products(shop: Shop, category: Category | None = None) -> QuerySet[Product]:
    """What buyers may see, with the pictures and the variants that are for sale."""
    products = Product.objects.filter(shop=shop, is_listed=True).select_related("category")
    if category is not None:
        products = products.filter(category=category)
    return products.prefetch_related(
        Prefetch("images", ProductImage.objects.order_by("position", "pk")),
        Prefetch("variants", Variant.objects.filter(is_active=True).order_by("position", "pk")),
    )


def variant_for_sale(shop: Shop, code: str) -> Variant | None:
    """The variant if a buyer may buy it now: active, of a listed product, in this shop, which is open."""
    return (
        Variant.objects.filter(
            shop=shop, shop__is_open=True, code=code, is_active=True, product__is_listed=True
        )
        .select_related("product", "shop")
        .first()
    )


def buyer_fields(variants: Collection[Variant]) -> dict[int, list[BuyerField]]:
    """What buyers are asked for, by variant id, in order; empty where nothing is asked.

    Only of what a person fills in and is sold directly: answers must not travel through a line. Without a
    query where there is none.
    """
    asked: dict[int, list[BuyerField]] = {variant.pk: [] for variant in variants}
    by_hand = [
        variant.pk
        for variant in variants
        if variant.fulfilment == Fulfilment.MANUAL and variant.selling == Selling.DIRECT
    ]
    if by_hand:
        for field in BuyerField.objects.filter(variant__in=by_hand):
            asked[field.variant_id].append(field)
    return asked


def available_counts(variants: Iterable[Variant], pool: str = Stock.PUBLIC) -> dict[int, int | None]:
    """Free units by variant id, for display; None means unlimited. A sold-out variant is present, with 0."""
    ids = [variant.pk for variant in variants]
    counts: dict[int, int | None] = dict.fromkeys(ids, 0)
    for variant_id, released, claimed in Stock.objects.filter(variant__in=ids, pool=pool).values_list(
        "variant", "released", "claimed"
    ):
        counts[variant_id] = None if released is None else released - claimed
    return counts
