"""What a reseller sees of a shop. Nothing of it is kept for others, who see something else."""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta

from django.db.models import DateTimeField, F, Max, OuterRef, Prefetch, QuerySet, Subquery, Value
from django.db.models.functions import Greatest

from inventory.models import Product, Variant
from resellers.models import OnwardPrice, Reseller

# A change is seen when it is committed, a little after the time that it bears.
TOLD_AGAIN = timedelta(seconds=60)
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)  # from which TOLD_AGAIN can be taken


def products_for(reseller: Reseller, *, since: datetime | None = None) -> QuerySet[Product]:
    """What is listed, with the variants that are on sale; `moved_at` is when any of it last changed.

    With `since`, what has changed from then on, or in the minute before. A change of their price list is one
    of every product.
    """
    of_variants = Variant.objects.filter(product=OuterRef("pk")).order_by().values("product")
    moved_at = Greatest(
        "updated_at",
        Subquery(of_variants.annotate(last=Max("updated_at")).values("last")),
        *(Value(moment, DateTimeField()) for moment in _repriced(reseller)),
    )
    products = (
        Product.objects.filter(shop=reseller.shop_id, is_listed=True)
        .annotate(moved_at=moved_at)
        .prefetch_related(
            Prefetch("variants", Variant.objects.filter(is_active=True).order_by("position", "pk"))
        )
    )
    return products.filter(moved_at__gte=seen_since(since)) if since else products


def seen_since(moment: datetime) -> datetime:
    """What bears this time or a later one has not been seen by who looked at that moment, or may not."""
    return max(moment, _LONG_AGO) - TOLD_AGAIN


def _repriced(reseller: Reseller) -> list[datetime]:
    changed_at = reseller.price_list.changed_at if reseller.price_list else None
    return [moment for moment in (reseller.priced_since, changed_at) if moment]


def variants_for(reseller: Reseller, codes: Iterable[str]) -> dict[str, Variant]:
    """By code, those that are on sale, of products that are listed."""
    on_sale = Variant.objects.filter(
        shop=reseller.shop_id, code__in=set(codes), is_active=True, product__is_listed=True
    )
    return {variant.code: variant for variant in on_sale}


def onward_minimums(reseller: Reseller, variants: Collection[Variant]) -> dict[int, int]:
    """By variant id, of those that have one. In one query, or none where there is no list."""
    if reseller.price_list_id is None:
        return {}
    told = OnwardPrice.objects.filter(
        price_list=reseller.price_list_id, variant__in=variants, variant__currency=F("price_list__currency")
    )
    return dict(told.values_list("variant", "least_minor"))
