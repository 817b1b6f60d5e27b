"""Products, with a reseller's own prices, and how many there are for them."""

import re
from collections.abc import Sequence
from typing import Any

from django.utils.decorators import method_decorator
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.views.decorators.http import conditional_page
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cardshop.common.api import StrictSerializer
from cardshop.common.errors import NotHere
from cardshop.common.problems import CONTENT_TYPE
from cardshop.shops.middleware import open_shop_of
from inventory.models import Fulfilment, Product, Variant
from resellers.api.pages import PageInput, on_page, page_of
from resellers.api.problems import REFUSALS, Problem
from resellers.api.views import ResellerApiView, reseller_of
from resellers.catalogue import onward_minimums, products_for, variants_for
from resellers.models import Reseller, Scope
from resellers.pricing import Prices, prices_for
from resellers.stock import InReach, in_reach

MOST_CODES = 200
CODE = re.compile(r"[-a-zA-Z0-9_]{1,60}", re.ASCII)
# Their program may keep it, and asks each time whether it is still so.
KEPT_PRIVATELY = "private, max-age=0, must-revalidate"


class ProductsInput(PageInput):
    updated_since = serializers.DateTimeField(
        required=False,
        help_text="Only what has changed since: the `Date` of the first page that you got the time before."
        " What changed in the minute before that is told again. How many there are is no change.",
    )


class StockInput(StrictSerializer):
    codes = serializers.CharField(
        max_length=MOST_CODES * 61, help_text=f"Of variants, at most {MOST_CODES}, with commas between them."
    )

    def validate_codes(self, text: str) -> list[str]:
        codes = list(dict.fromkeys(text.split(",")))
        if len(codes) > MOST_CODES:
            raise serializers.ValidationError(_("At most %d codes at once.") % MOST_CODES)
        if not all(CODE.fullmatch(code) for code in codes):
            raise serializers.ValidationError(_("Codes with commas between them, please."))
        return codes


class TierOut(serializers.Serializer[Any]):
    from_quantity = serializers.IntegerField(help_text="In one order.")
    unit_price_minor = serializers.IntegerField()


class AvailableOut(serializers.Serializer[Any]):
    code = serializers.CharField()
    is_buyable = serializers.BooleanField(
        help_text="Whether this account can buy it at all: not in another currency than that of its balance,"
        " nor what somebody would have to be asked something for."
    )
    available = serializers.IntegerField(
        allow_null=True, help_text="Exactly, at this moment; only an order decides. null: unlimited."
    )
    set_aside = serializers.IntegerField(help_text="So many of them are set aside for you.")


class ResellerVariantOut(AvailableOut):
    name = serializers.CharField()
    name_en = serializers.CharField(help_text="Empty where there is none.")
    currency = serializers.CharField()
    unit_price_minor = serializers.IntegerField(help_text="What one costs you. In minor units: 990 is ¥9.90.")
    tiers = TierOut(many=True, help_text="What each costs if you take more. The first begins with 1.")
    onward_min_minor = serializers.IntegerField(
        allow_null=True, help_text="What you have agreed not to sell it below; null: nothing."
    )
    on_sale_from = serializers.DateTimeField(allow_null=True)
    on_sale_until = serializers.DateTimeField(allow_null=True)
    fulfilment = serializers.ChoiceField(
        Fulfilment.values,
        help_text="card_key: a key of its own; reusable: what all buyers get; manual: a person fills it in",
    )
    fulfil_within_hours = serializers.IntegerField(
        allow_null=True, help_text="Within which a person fills it in; null: delivered at once."
    )


class ResellerProductOut(serializers.Serializer[Any]):
    slug = serializers.CharField()
    name = serializers.CharField()
    name_en = serializers.CharField()
    summary = serializers.CharField()
    summary_en = serializers.CharField()
    updated_at = serializers.DateTimeField(help_text="When it, a variant or your prices last changed.")
    variants = ResellerVariantOut(many=True)


class ResellerProductInFullOut(ResellerProductOut):
    description = serializers.CharField(
        help_text="Markdown, perhaps with HTML in it: sanitise what it becomes."
    )
    description_en = serializers.CharField()


class ResellerProductsOut(serializers.Serializer[Any]):
    products = ResellerProductOut(many=True)
    next = serializers.CharField(allow_null=True, help_text="Send it as `after`; null: there are no more.")


class StockOut(serializers.Serializer[Any]):
    stock = AvailableOut(many=True)
    unknown = serializers.ListField(
        child=serializers.CharField(), help_text="Codes of nothing that is on sale, or not any more."
    )


EXAMPLE = OpenApiExample(
    "A variant in two tiers",
    value={
        "products": [
            {
                "slug": "steam",
                "name": "Steam 充值",
                "name_en": "Steam top-up",
                "summary": "",
                "summary_en": "",
                "updated_at": "2026-11-27T12:00:00+08:00",
                "variants": [
                    {
                        "code": "steam-50",
                        "is_buyable": True,
                        "available": 1240,
                        "set_aside": 200,
                        "name": "50 元",
                        "name_en": "¥50",
                        "currency": "CNY",
                        "unit_price_minor": 4900,
                        "tiers": [
                            {"from_quantity": 1, "unit_price_minor": 4900},
                            {"from_quantity": 100, "unit_price_minor": 4800},
                        ],
                        "onward_min_minor": 5000,
                        "on_sale_from": None,
                        "on_sale_until": None,
                        "fulfilment": "card_key",
                        "fulfil_within_hours": None,
                    }
                ],
            }
        ],
        "next": None,
    },
    response_only=True,
    status_codes=["200"],
)


class CatalogueView(ResellerApiView):
    """Refused while the shop is closed: else all of it would seem to have been withdrawn."""

    scope = Scope.CATALOGUE

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        open_shop_of(request._request)

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        if request.method == "GET" and response.status_code == 200:
            response.headers.setdefault("Cache-Control", KEPT_PRIVATELY)
        return super().finalize_response(request, response, *args, **kwargs)


@method_decorator(conditional_page, name="dispatch")
class ResellerProductsApi(CatalogueView):
    @extend_schema(
        operation_id="reseller_products_list",
        parameters=[ProductsInput],
        responses={200: ResellerProductsOut, (400, CONTENT_TYPE): Problem, **REFUSALS},
        examples=[EXAMPLE],
    )
    def get(self, request: Request) -> Response:
        """What the shop lists, at your prices. Send the ETag of a page as `If-None-Match`, and 304 says that
        it is as it was.
        """
        page, asked = page_of(request, ProductsInput)
        reseller = reseller_of(request)
        products, after = on_page(products_for(reseller, since=asked.get("updated_since")), page)
        return Response({"products": _described(reseller, products), "next": after})


@method_decorator(conditional_page, name="dispatch")
class ResellerProductApi(CatalogueView):
    @extend_schema(
        operation_id="reseller_product",
        responses={200: ResellerProductInFullOut, (404, CONTENT_TYPE): Problem, **REFUSALS},
    )
    def get(self, request: Request, slug: str) -> Response:
        """One product, with its description."""
        reseller = reseller_of(request)
        product = products_for(reseller).filter(slug=slug).first()
        if product is None:
            raise NotHere
        (described,) = _described(reseller, [product])
        texts = {"description": product.description, "description_en": product.description_en}
        return Response(described | texts)


@method_decorator(conditional_page, name="dispatch")
class ResellerStockApi(CatalogueView):
    @extend_schema(
        operation_id="reseller_stock",
        parameters=[StockInput],
        responses={200: StockOut, (400, CONTENT_TYPE): Problem, **REFUSALS},
    )
    def get(self, request: Request) -> Response:
        """How many there are for you of these variants. Cheaper than the products: for asking often."""
        asked = StockInput(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        codes = asked.validated_data["codes"]
        reseller = reseller_of(request)
        found = variants_for(reseller, codes)
        reach = in_reach(reseller, found.values())
        return Response(
            {
                "stock": [_available(found[code], reach) for code in codes if code in found],
                "unknown": [code for code in codes if code not in found],
            }
        )


def _described(reseller: Reseller, products: Sequence[Any]) -> list[dict[str, Any]]:
    variants = [variant for product in products for variant in product.variants.all()]
    reach = in_reach(reseller, variants)
    prices = prices_for(reseller, [variant.pk for variant in variants])
    onward = onward_minimums(reseller, variants)
    return [
        {
            **_texts(product),
            "updated_at": localtime(product.moved_at).isoformat(),
            "variants": [
                {**_available(variant, reach), **_priced(variant, prices, onward.get(variant.pk))}
                for variant in product.variants.all()
            ],
        }
        for product in products
    ]


def _texts(product: Product) -> dict[str, str]:
    return {name: getattr(product, name) for name in ("slug", "name", "name_en", "summary", "summary_en")}


def _available(variant: Variant, reach: dict[int, InReach]) -> dict[str, Any]:
    found = reach.get(variant.pk, InReach())
    return {
        "code": variant.code,
        "is_buyable": variant.pk in reach,
        "available": found.available,
        "set_aside": found.set_aside,
    }


def _priced(variant: Variant, prices: Prices, onward_min_minor: int | None) -> dict[str, Any]:
    return {
        "name": variant.name,
        "name_en": variant.name_en,
        "currency": variant.currency,
        "unit_price_minor": prices.unit_price(variant, 1),
        "tiers": [
            {"from_quantity": tier.from_quantity, "unit_price_minor": tier.unit_price_minor}
            for tier in prices.tiers(variant)
        ],
        "onward_min_minor": onward_min_minor,
        "on_sale_from": variant.on_sale_from and localtime(variant.on_sale_from).isoformat(),
        "on_sale_until": variant.on_sale_until and localtime(variant.on_sale_until).isoformat(),
        "fulfilment": variant.fulfilment,
        "fulfil_within_hours": variant.promised_hours,
    }
