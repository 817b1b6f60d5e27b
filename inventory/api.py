"""Browsing through the API."""

from datetime import datetime

from django.db.models import QuerySet
from django.utils.decorators import method_decorator
from django.utils.timezone import localtime
from django.views.decorators.http import conditional_page
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cardshop.common.api import ErrorShape
from cardshop.common.errors import NotHere
from cardshop.common.templatetags.shopfront import localized
from cardshop.shops.middleware import open_shop_of
from cardshop.shops.models import Shop
from cardshop.traffic.display_cache import for_everybody, shown
from inventory.models import BuyerField, Product, Variant
from inventory.selectors import buyer_fields, listed_products
from inventory.shown_stock import StockLevel, shown_stocks


class BuyerFieldOut(serializers.Serializer[BuyerField]):
    id = serializers.CharField(help_text="Send the answer under this name, in `answers`.")
    name = serializers.CharField(help_text="For people.")
    kind = serializers.CharField(help_text="text, number (digits) or email")
    is_required = serializers.BooleanField()
    max_length = serializers.IntegerField(help_text="Characters.")


class VariantOut(serializers.Serializer[Variant]):
    code = serializers.CharField()
    name = serializers.CharField()
    price_minor = serializers.IntegerField(help_text="In minor units: 990 is ¥9.90.")
    currency = serializers.CharField()
    min_quantity = serializers.IntegerField(help_text="Per order.")
    max_quantity = serializers.IntegerField(help_text="Per order.")
    per_buyer_limit = serializers.IntegerField(
        allow_null=True, help_text="Over all orders with the same e-mail; null: no limit."
    )
    on_sale_from = serializers.DateTimeField(allow_null=True)
    on_sale_until = serializers.DateTimeField(allow_null=True)
    available = serializers.IntegerField(
        allow_null=True, help_text="For display; null: unlimited, or not told. Only an order decides."
    )
    stock = serializers.ChoiceField(
        [level.value for level in StockLevel],
        help_text="In words; untold: the shop says no more than that it is not sold out.",
    )
    fulfilment = serializers.CharField(
        help_text="card_key: a key of its own; reusable: what all buyers get; manual: a person fills it in"
    )
    fulfil_within_hours = serializers.IntegerField(
        allow_null=True, help_text="Within which a person fills it in; null: delivered at once."
    )
    buyer_fields = BuyerFieldOut(many=True, help_text="What the buyer is asked for with the order.")


class ProductOut(serializers.Serializer[Product]):
    slug = serializers.CharField()
    name = serializers.CharField()
    summary = serializers.CharField()
    description = serializers.CharField(
        help_text="Markdown, perhaps with HTML in it: sanitise what it becomes."
    )
    category = serializers.CharField(allow_null=True)
    images = serializers.ListField(child=serializers.CharField())
    variants = VariantOut(many=True)


@method_decorator([conditional_page, for_everybody], name="dispatch")
class ProductsApi(APIView):
    @extend_schema(operation_id="products_list", responses=ProductOut(many=True))
    def get(self, request: Request) -> Response:
        """Everything that is listed, in the shop's order."""
        shop = open_shop_of(request._request)
        return Response(
            shown.get("products", shop_id=shop.pk, compute=lambda: _described(listed_products(shop)))
        )


@method_decorator([conditional_page, for_everybody], name="dispatch")
class ProductApi(APIView):
    @extend_schema(responses={200: ProductOut, 404: ErrorShape})
    def get(self, request: Request, slug: str) -> Response:
        """One product with its variants."""
        shop = open_shop_of(request._request)
        described = shown.get(f"product/{slug}", shop_id=shop.pk, compute=lambda: _the_one(shop, slug))
        if described is None:
            raise NotHere
        return Response(described)


def _the_one(shop: Shop, slug: str) -> dict[str, object] | None:
    return next(iter(_described(listed_products(shop).filter(slug=slug))), None)


def _described(listed: QuerySet[Product]) -> list[dict[str, object]]:
    products = list(listed)
    variants = [variant for product in products for variant in product.variants.all()]
    stocks, asked = shown_stocks(variants), buyer_fields(variants)
    return [
        {
            "slug": product.slug,
            "name": localized(product, "name"),
            "summary": localized(product, "summary"),
            "description": localized(product, "description"),
            "category": product.category.slug if product.category else None,
            "images": [image.file.url for image in product.images.all()],
            "variants": [
                {
                    "code": variant.code,
                    "name": localized(variant, "name"),
                    "price_minor": variant.price_minor,
                    "currency": variant.currency,
                    "min_quantity": variant.min_quantity,
                    "max_quantity": variant.max_quantity,
                    "per_buyer_limit": variant.per_buyer_limit,
                    "on_sale_from": _told(variant.on_sale_from),
                    "on_sale_until": _told(variant.on_sale_until),
                    "available": stocks[variant.pk].count,
                    "stock": stocks[variant.pk].level.value,
                    "fulfilment": variant.fulfilment,
                    "fulfil_within_hours": variant.promised_hours,
                    "buyer_fields": [_asked(field) for field in asked[variant.pk]],
                }
                for variant in product.variants.all()
            ],
        }
        for product in products
    ]


def _told(moment: datetime | None) -> str | None:
    return localtime(moment).isoformat() if moment else None


def _asked(field: BuyerField) -> dict[str, object]:
    return {
        "id": str(field.pk),
        "name": localized(field, "name"),
        "kind": field.kind,
        "is_required": field.is_required,
        "max_length": field.max_length,
    }
