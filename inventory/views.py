"""Catalogue pages: no cookies, the same for everybody, and so for every cache on the way."""

from collections.abc import Callable
from functools import wraps

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.template.loader import render_to_string
from django.views.decorators.cache import cache_control
from django.views.decorators.http import conditional_page, require_safe

from cardshop.common.errors import NotHere
from cardshop.shops.errors import ShopClosed
from cardshop.shops.middleware import open_shop_of, shop_of
from cardshop.shops.models import Shop
from cardshop.traffic.display_cache import for_everybody, shown
from cardshop.traffic.errors import refusal_page
from inventory.models import Category, Product, ProductImage
from inventory.selectors import available_counts, listed_products


def catalogue_page(page: Callable[..., str | None]) -> Callable[..., HttpResponseBase]:
    """The view of a page whose HTML depends on its shop, its address and its language alone.

    `page` returns it, or None if there is no such page.
    """

    @require_safe
    @conditional_page
    @for_everybody
    @wraps(page)
    def view(request: HttpRequest, **names: str) -> HttpResponse:
        try:
            shop = open_shop_of(request)
        except ShopClosed as closed:
            # Kept like a page. Otherwise a crowd would go on seeing the last page while one of it asks.
            return refusal_page(request, closed)
        html = shown.get(f"page{request.path}", shop_id=shop.pk, compute=lambda: page(request, shop, **names))
        if html is None:
            raise NotHere
        return HttpResponse(html)

    return view


@catalogue_page
def home(request: HttpRequest, shop: Shop) -> str:
    return _listing(request, shop, None)


@catalogue_page
def category(request: HttpRequest, shop: Shop, slug: str) -> str | None:
    chosen = Category.objects.filter(shop=shop, slug=slug).first()
    if chosen is None:
        return None
    return _listing(request, shop, chosen)


@catalogue_page
def product(request: HttpRequest, shop: Shop, slug: str) -> str | None:
    chosen = listed_products(shop).filter(slug=slug).first()
    if chosen is None:
        return None
    variants = list(chosen.variants.all())
    counts = available_counts(variants)
    offers = [{"variant": variant, "available": counts[variant.pk]} for variant in variants]
    context = {"shop": shop, "product": chosen, "offers": offers}
    return render_to_string("inventory/product.html", context, request)


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


def _listing(request: HttpRequest, shop: Shop, chosen: Category | None) -> str:
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
    return render_to_string("inventory/home.html", context, request)


def _card(product: Product, counts: dict[int, int | None]) -> dict[str, object]:
    variants = list(product.variants.all())
    return {
        "product": product,
        "cheapest": min(variants, key=lambda variant: variant.price_minor, default=None),
        "in_stock": any(counts[variant.pk] != 0 for variant in variants),
    }
