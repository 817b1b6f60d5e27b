"""Catalogue pages: no cookies, the same for everybody, and so for every cache on the way."""

from collections.abc import Callable
from functools import wraps

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import conditional_page, require_safe

from cardshop.common.errors import NotHere
from cardshop.shops.middleware import open_shop_of, shop_of
from inventory.models import Category, Product, ProductImage
from inventory.selectors import available_counts, listed_products

View = Callable[..., HttpResponse]


def catalogue_page(view: View) -> View:
    """Cacheable by everyone for a few seconds, revalidated by ETag afterwards."""
    cached = cache_control(public=True, max_age=10, stale_while_revalidate=30)
    return require_safe(conditional_page(cached(wraps(view)(view))))


@catalogue_page
def home(request: HttpRequest) -> HttpResponse:
    return _listing(request, None)


@catalogue_page
def category(request: HttpRequest, slug: str) -> HttpResponse:
    chosen = Category.objects.filter(shop=open_shop_of(request), slug=slug).first()
    if chosen is None:
        raise NotHere
    return _listing(request, chosen)


@catalogue_page
def product(request: HttpRequest, slug: str) -> HttpResponse:
    shop = open_shop_of(request)
    chosen = listed_products(shop).filter(slug=slug).first()
    if chosen is None:
        raise NotHere
    variants = list(chosen.variants.all())
    counts = available_counts(variants)
    offers = [{"variant": variant, "available": counts[variant.pk]} for variant in variants]
    return render(request, "inventory/product.html", {"shop": shop, "product": chosen, "offers": offers})


@require_safe
@cache_control(public=True, max_age=365 * 24 * 3600, immutable=True)
def product_image(request: HttpRequest, digest: str, suffix: str) -> HttpResponseBase:
    """A picture by its content-derived name. A gateway in front may serve the folder itself."""
    picture = ProductImage.objects.filter(
        product__shop=shop_of(request), file=f"products/{digest}.{suffix}"
    ).first()
    if picture is None:
        raise NotHere
    try:
        return FileResponse(picture.file.open())
    except OSError as gone:  # or unreadable: a page without this picture still sells
        raise NotHere from gone


def _listing(request: HttpRequest, chosen: Category | None) -> HttpResponse:
    shop = open_shop_of(request)
    products = list(listed_products(shop, chosen))
    variants = [variant for product in products for variant in product.variants.all()]
    counts = available_counts(variants)
    cards = [_card(product, counts) for product in products]
    context = {
        "shop": shop,
        "categories": Category.objects.filter(shop=shop, product__is_listed=True).distinct(),
        "chosen": chosen,
        "cards": cards,
        "variants": variants,
    }
    return render(request, "inventory/home.html", context)


def _card(product: Product, counts: dict[int, int | None]) -> dict[str, object]:
    variants = list(product.variants.all())
    return {
        "product": product,
        "cheapest": min(variants, key=lambda variant: variant.price_minor, default=None),
        "in_stock": any(counts[variant.pk] != 0 for variant in variants),
    }
