"""Catalogue pages: no cookies, the same for everybody, and so for every cache on the way."""

from collections.abc import Callable
from functools import partial, wraps

from django.db.models import QuerySet
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import conditional_page, require_safe

from cardshop.common.errors import NotHere
from cardshop.shops.errors import ShopClosed
from cardshop.shops.middleware import open_shop_of, shop_of
from cardshop.shops.models import Shop
from cardshop.traffic.display_cache import for_everybody, shown
from cardshop.traffic.errors import refusal_page
from inventory.models import Category, Product, ProductImage
from inventory.offers import Offer, offers_of
from inventory.search import LONGEST, MOST_FOUND, search, terms_of
from inventory.selectors import listed_products
from inventory.structured_data import product_data


def catalogue_page(
    page: Callable[..., str | None], *, content_type: str | None = None
) -> Callable[..., HttpResponseBase]:
    """The view of a page that depends on its shop, its address and its language alone.

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
        text = shown.get(f"page{request.path}", shop_id=shop.pk, compute=lambda: page(request, shop, **names))
        if text is None:
            raise NotHere
        return HttpResponse(text, content_type=content_type)

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
    offers = list(offers_of(chosen.variants.all()).values())
    context = {
        "shop": shop,
        "product": chosen,
        "offers": offers,
        "structured_data": product_data(shop, chosen, offers),
    }
    return render_to_string("inventory/product.html", context, request)


@require_safe
@cache_control(private=True, max_age=0)
def search_page(request: HttpRequest) -> HttpResponse:
    """What is found by `q`. Kept nowhere: strangers choose what is looked for."""
    shop = open_shop_of(request)
    asked = request.GET.get("q", "").strip()[:LONGEST]
    terms = terms_of(asked)
    found = list(search(shop, terms)) if terms else []
    context = {
        "shop": shop,
        "asked": asked,
        "is_answered": bool(terms),
        "is_cut": len(found) == MOST_FOUND,
        "categories": _categories(shop),
        **_cards(found),
    }
    return render(request, "inventory/search.html", context)


@partial(catalogue_page, content_type="application/xml")
def sitemap(request: HttpRequest, shop: Shop) -> str:
    products = Product.objects.filter(shop=shop, is_listed=True)
    paths = [
        reverse("home"),
        *(reverse("category", args=[one.slug]) for one in _categories(shop)),
        *(reverse("product", args=[one.slug]) for one in products),
    ]
    return render_to_string("inventory/sitemap.xml", {"shop": shop, "paths": paths}, request)


@partial(catalogue_page, content_type="text/plain")
def robots(request: HttpRequest, shop: Shop) -> str:
    return render_to_string("inventory/robots.txt", {"shop": shop}, request)


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
    context = {
        "shop": shop,
        "categories": _categories(shop),
        "chosen": chosen,
        **_cards(list(listed_products(shop, chosen))),
    }
    return render_to_string("inventory/home.html", context, request)


def _categories(shop: Shop) -> QuerySet[Category]:
    """Those in which there is something."""
    return Category.objects.filter(shop=shop, product__is_listed=True).distinct()


def _cards(products: list[Product]) -> dict[str, object]:
    """What a list of products needs: each with what its card tells, and all their variants."""
    variants = [variant for product in products for variant in product.variants.all()]
    offers = offers_of(variants)
    cards = [_card(product, [offers[one.pk] for one in product.variants.all()]) for product in products]
    return {"cards": cards, "variants": variants}


def _card(product: Product, offers: list[Offer]) -> dict[str, object]:
    openings = (offer.window.opens_at for offer in offers if offer.window and offer.is_to_come)
    return {
        "product": product,
        "cheapest": min((offer.variant for offer in offers), key=lambda one: one.price_minor, default=None),
        "in_stock": any(offer.is_to_be_had for offer in offers),
        "opens_at": min(filter(None, openings), default=None),
        "has_ended": bool(offers) and all(offer.is_over for offer in offers),
    }
