"""A shop to try things in: what it sells, its stock, and the sandbox as its payment provider.

Everything may run again at each start: what is there already is left as it is, so that a price
changed in the admin stays changed. Only the sandbox's address and key are brought up to date.
"""

import secrets
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.core.files.base import ContentFile

from cardshop.common.clock import db_now
from cardshop.common.ids import ALPHABET
from cardshop.operations.demo_channels import connect_sandbox, offer_balance
from cardshop.operations.demo_goods import CATEGORIES, PRODUCTS, Goods, HandOffer, Offer, TextOffer
from cardshop.operations.demo_pictures import cover
from cardshop.shops.models import Shop
from inventory.imports import import_keys
from inventory.models import BuyerField, Category, Fulfilment, Product, ProductImage, Stock, Variant
from inventory.setting import change_text, set_free

ADMIN = "admin"


@dataclass(frozen=True)
class Seeded:
    """What is there now. `pays` is False when no sandbox was named."""

    shop: Shop
    products: int
    new_keys: int
    pays: bool


def seed() -> Seeded:
    """The demo shop, complete, whatever part of it was there before."""
    shop, _ = Shop.objects.get_or_create(
        slug="demo",
        defaults={
            "name": "星河卡铺",
            "name_en": "Starriver Keys",
            "host": "127.0.0.1",
            "currency": "CNY",
            "contact_email": "support@starriver.example",
        },
    )
    categories = [
        Category.objects.get_or_create(
            shop=shop, slug=slug, defaults={"name": name, "name_en": name_en, "position": position}
        )[0]
        for position, (slug, name, name_en) in enumerate(CATEGORIES)
    ]
    by_slug = {category.slug: category for category in categories}
    new_keys = sum(
        _seed_product(shop, by_slug[goods.category], goods, position)
        for position, goods in enumerate(PRODUCTS)
    )
    offer_balance(shop)
    return Seeded(shop, len(PRODUCTS), new_keys, pays=connect_sandbox(shop))


def ensure_admin() -> tuple[str, str] | None:
    """Name and generated password of a new superuser; None when there is one already."""
    users = get_user_model()._default_manager
    if users.filter(is_superuser=True).exists():
        return None
    password = secrets.token_urlsafe(12)
    users.create_superuser(username=ADMIN, email="", password=password)
    return ADMIN, password


def _seed_product(shop: Shop, category: Category, goods: Goods, position: int) -> int:
    product, _ = Product.objects.get_or_create(
        shop=shop,
        slug=goods.slug,
        defaults={
            "category": category,
            "name": goods.name,
            "name_en": goods.name_en,
            "summary": goods.summary,
            "summary_en": goods.summary_en,
            "description": goods.description,
            "description_en": goods.description_en,
            "usage_notes": goods.usage_notes,
            "usage_notes_en": goods.usage_notes_en,
            "stock_display": goods.stock_display,
            "position": position,
            "is_listed": True,
        },
    )
    _ensure_picture(product, goods)
    return sum(_seed_offer(product, goods, offer, at) for at, offer in enumerate(goods.offers))


def _ensure_picture(product: Product, goods: Goods) -> None:
    """Drawn anew also where only the file is gone."""
    for picture in product.images.all():
        if picture.file.storage.exists(picture.file.name or ""):
            return
        picture.delete()
    ProductImage.objects.create(
        product=product,
        file=ContentFile(cover(goods.look), name="cover.webp"),
        alt=f"{goods.name}的封面",
        alt_en=f"Cover of {goods.name_en}",
    )


def _seed_offer(product: Product, goods: Goods, offer: Offer, position: int) -> int:
    variant, _ = Variant.objects.get_or_create(
        shop=product.shop,
        code=f"{goods.slug}-{offer.suffix}",
        defaults={
            "product": product,
            "name": offer.name,
            "name_en": offer.name_en,
            "price_minor": offer.price_minor,
            "currency": product.shop.currency,
            "max_quantity": offer.at_most,
            "position": position,
            **_way_of_fulfilling(offer),
        },
    )
    _set_up(variant, offer)
    Stock.objects.get_or_create(variant=variant, pool=Stock.PUBLIC, defaults={"shop": product.shop})
    if not offer.keys or variant.batches.exists():
        return 0
    _batch, report = import_keys(
        variant=variant,
        lines=(_new_key(goods.look.prefix) for _ in range(offer.keys)),
        imported_by="demo",
        note="demo",
        now=db_now(),
    )
    return report.imported


def _way_of_fulfilling(offer: Offer) -> dict[str, Any]:
    match offer:
        case TextOffer():
            return {"fulfilment": Fulfilment.REUSABLE}
        case HandOffer():
            return {"fulfilment": Fulfilment.MANUAL, "fulfil_within_hours": offer.within_hours}
        case _:
            return {}


def _set_up(variant: Variant, offer: Offer) -> None:
    """Once: what a merchant has set since stays."""
    if variant.stocks.exists():
        return
    match offer:
        case TextOffer():
            change_text(variant, offer.text, changed_by="demo", now=db_now())
            set_free(variant, None)
        case HandOffer():
            for position, (name, name_en) in enumerate(offer.asks, start=1):
                BuyerField.objects.create(variant=variant, position=position, name=name, name_en=name_en)
            set_free(variant, offer.free)


def _new_key(prefix: str) -> str:
    """Such as LIULI-7KQ2M-XW4PA-9TNDE: 74 random bits."""
    groups = ("".join(secrets.choice(ALPHABET) for _ in range(5)) for _ in range(3))
    return "-".join((prefix, *groups))
