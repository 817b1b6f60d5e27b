"""Products as schema.org has them, for search engines: what stands on the page, once more as JSON-LD."""

import json
from collections.abc import Iterable

from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe

from cardshop.common.links import absolute_url
from cardshop.common.money import to_text
from cardshop.common.templatetags.shopfront import localized
from cardshop.shops.models import Shop
from inventory.models import Product, Selling
from inventory.offers import Offer
from inventory.shown_stock import StockLevel

# A script element ends at "</script", wherever that stands.
_ESCAPED = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def product_data(shop: Shop, product: Product, offers: Iterable[Offer]) -> SafeString:
    """The JSON of one product, to stand in a script element."""
    url = absolute_url(shop, reverse("product", args=[product.slug]))
    said = {
        "@context": "https://schema.org",
        "@type": "Product",
        "name": localized(product, "name"),
        "description": localized(product, "summary"),
        "image": [absolute_url(shop, picture.file.url) for picture in product.images.all()],
        "offers": [_offer(offer, url) for offer in offers],
    }
    text = json.dumps({name: value for name, value in said.items() if value}, ensure_ascii=False)
    return mark_safe(text.translate(_ESCAPED))  # noqa: S308  as Django's own json_script


def _offer(offer: Offer, url: str) -> dict[str, str]:
    variant = offer.variant
    said = {
        "@type": "Offer",
        "name": localized(variant, "name"),
        "sku": variant.code,
        "price": to_text(variant.price_minor, variant.currency),
        "priceCurrency": variant.currency,
        "url": url,
    }
    # How it stands with a sale is told nowhere but on its own pages.
    return said if variant.selling == Selling.QUEUED else {**said, "availability": _availability(offer)}


def _availability(offer: Offer) -> str:
    if offer.is_to_come:
        word = "PreSale"
    elif not offer.is_to_be_had:
        word = "OutOfStock"
    else:
        word = "LimitedAvailability" if offer.stock.level == StockLevel.LOW else "InStock"
    return f"https://schema.org/{word}"
