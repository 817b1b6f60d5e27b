"""Products and variants, with how many there are; and changing what a variant costs and how it is sold."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Prefetch, QuerySet, Sum
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cardshop.common.api import StrictSerializer, WholeNumberField
from cardshop.common.errors import NotHere
from cardshop.common.money import MAX_MINOR
from cardshop.merchant_api.changing import change_variant, version_of
from cardshop.merchant_api.views import MerchantApiView, refusals, write_down
from inventory.models import Fulfilment, Product, Selling, Variant
from resellers.api.once import ONCE, once
from resellers.api.pages import PageInput, on_page, page_asked_for, page_of
from resellers.api.views import key_of
from resellers.catalogue import seen_since
from resellers.models import MerchantScope

MOST_SMALL = 32767  # of PostgreSQL's smallint


class MerchantVariantOut(serializers.Serializer[Any]):
    code = serializers.CharField()
    product = serializers.CharField(source="product.slug")
    name = serializers.CharField()
    name_en = serializers.CharField(help_text="Empty where there is none.")
    price_minor = serializers.IntegerField(help_text="In minor units: 990 is ¥9.90.")
    currency = serializers.CharField()
    min_quantity = serializers.IntegerField()
    max_quantity = serializers.IntegerField()
    per_buyer_limit = serializers.IntegerField(allow_null=True)
    low_stock_at = serializers.IntegerField(allow_null=True)
    on_sale_from = serializers.DateTimeField(allow_null=True)
    on_sale_until = serializers.DateTimeField(allow_null=True)
    is_active = serializers.BooleanField(help_text="For sale.")
    selling = serializers.ChoiceField(Selling.values)
    fulfilment = serializers.ChoiceField(Fulfilment.values)
    fulfil_within_hours = serializers.IntegerField(allow_null=True)
    total = serializers.IntegerField(source="total_sum", allow_null=True, help_text="null: unlimited.")
    released = serializers.IntegerField(
        source="released_sum", allow_null=True, help_text="So many of them are open for sale."
    )
    claimed = serializers.IntegerField(source="claimed_sum", allow_null=True, help_text="Held or sold.")
    updated_at = serializers.DateTimeField()
    version = serializers.SerializerMethodField(
        help_text="Changes with whatever may be changed here; not with the stock."
    )

    def get_version(self, variant: Variant) -> str:
        return version_of(variant)


class MerchantProductOut(serializers.Serializer[Any]):
    slug = serializers.CharField()
    name = serializers.CharField()
    name_en = serializers.CharField()
    category = serializers.CharField(source="category.slug", default=None, allow_null=True)
    is_listed = serializers.BooleanField()
    variants = MerchantVariantOut(many=True)


class MerchantProductsOut(serializers.Serializer[Any]):
    products = MerchantProductOut(many=True)
    next = serializers.CharField(allow_null=True, help_text="Send it as `after`; null: there are no more.")


class MerchantVariantsOut(serializers.Serializer[Any]):
    variants = MerchantVariantOut(many=True)
    next = serializers.CharField(allow_null=True, help_text="Send it as `after`; null: there are no more.")


class VariantsInput(PageInput):
    product = serializers.SlugField(max_length=60, required=False, default="", help_text="Of this one only.")
    updated_since = serializers.DateTimeField(
        required=False,
        help_text="Only what has changed since: the `Date` of the first page that you got the time before."
        " What changed in the minute before that is told again. How many there are is no change.",
    )


class VariantChangeInput(StrictSerializer):
    version = serializers.CharField(
        max_length=64,
        required=False,
        default="",
        help_text="Of the variant as you have read it: refused where somebody has changed it since.",
    )
    price_minor = WholeNumberField(min_value=1, max_value=MAX_MINOR, required=False)
    min_quantity = WholeNumberField(min_value=1, max_value=MOST_SMALL, required=False)
    max_quantity = WholeNumberField(min_value=1, max_value=MOST_SMALL, required=False)
    per_buyer_limit = WholeNumberField(
        min_value=1, max_value=MOST_SMALL, required=False, allow_null=True, help_text="null: none."
    )
    low_stock_at = WholeNumberField(min_value=0, max_value=10**9, required=False, allow_null=True)
    on_sale_from = serializers.DateTimeField(required=False, allow_null=True)
    on_sale_until = serializers.DateTimeField(required=False, allow_null=True)
    is_active = serializers.BooleanField(required=False)


EXAMPLE = OpenApiExample(
    "A new price", value={"version": "6f0c2a91d3b45e78", "price_minor": 1090}, request_only=True
)


class MerchantProductsApi(MerchantApiView):
    scope = MerchantScope.CATALOGUE_READ

    @extend_schema(
        operation_id="merchant_products_list",
        parameters=[PageInput],
        responses={200: MerchantProductsOut, **refusals(400)},
    )
    def get(self, request: Request) -> Response:
        """All products, listed or not, the oldest first."""
        found, after = on_page(_products(request), page_asked_for(request))
        return Response({"products": MerchantProductOut(found, many=True).data, "next": after})


class MerchantProductApi(MerchantApiView):
    scope = MerchantScope.CATALOGUE_READ

    @extend_schema(
        operation_id="merchant_products_retrieve", responses={200: MerchantProductOut, **refusals(404)}
    )
    def get(self, request: Request, slug: str) -> Response:
        """One product with its variants."""
        if (product := _products(request).filter(slug=slug).first()) is None:
            raise NotHere
        return Response(MerchantProductOut(product).data)


class MerchantVariantsApi(MerchantApiView):
    scope = MerchantScope.CATALOGUE_READ

    @extend_schema(
        operation_id="merchant_variants_list",
        parameters=[VariantsInput],
        responses={200: MerchantVariantsOut, **refusals(400)},
    )
    def get(self, request: Request) -> Response:
        """All variants, the oldest first, with how many there are of each."""
        page, asked = page_of(request, VariantsInput)
        variants = variants_of(request)
        if slug := asked["product"]:
            variants = variants.filter(product__slug=slug)
        if since := asked.get("updated_since"):
            variants = variants.filter(updated_at__gte=seen_since(since))
        found, after = on_page(variants, page)
        return Response({"variants": MerchantVariantOut(found, many=True).data, "next": after})


class MerchantVariantApi(MerchantApiView):
    scope = MerchantScope.CATALOGUE_READ
    scope_to_write = MerchantScope.CATALOGUE_WRITE

    @extend_schema(
        operation_id="merchant_variants_retrieve", responses={200: MerchantVariantOut, **refusals(404)}
    )
    def get(self, request: Request, code: str) -> Response:
        """One variant."""
        return Response(MerchantVariantOut(variant_called(request, code)).data)

    @extend_schema(
        operation_id="merchant_variants_change",
        request=VariantChangeInput,
        parameters=[ONCE],
        examples=[EXAMPLE],
        responses={200: MerchantVariantOut, **refusals(400, 404, 412, 415, 422)},
    )
    def patch(self, request: Request, code: str) -> Response:
        """Change what is sent, and leave the rest as it is."""
        wanted = VariantChangeInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        variant = variant_called(request, code)
        return once(
            request, wanted.validated_data, lambda: self._changed(request, variant, wanted.validated_data)
        )

    def _changed(self, request: Request, variant: Variant, said: Mapping[str, Any]) -> Response:
        changes = {name: value for name, value in said.items() if name != "version"}
        write_down(request, change_variant(variant, changes, version=said["version"]))
        return Response(MerchantVariantOut(variant_called(request, variant.code)).data)


def variants_of(request: Request) -> QuerySet[Variant]:
    return _with_stock(Variant.objects.filter(shop=key_of(request).shop).select_related("product"))


def variant_called(request: Request, code: str) -> Variant:
    """Raises NotHere."""
    if (variant := variants_of(request).filter(code=code).first()) is None:
        raise NotHere
    return variant


def _products(request: Request) -> QuerySet[Product]:
    variants = _with_stock(Variant.objects.select_related("product").order_by("position", "pk"))
    mine = Product.objects.filter(shop=key_of(request).shop).select_related("category")
    return mine.prefetch_related(Prefetch("variants", variants))


def _with_stock(variants: QuerySet[Variant]) -> QuerySet[Variant]:
    return variants.annotate(
        total_sum=Sum("stocks__total"),
        released_sum=Sum("stocks__released"),
        claimed_sum=Sum("stocks__claimed"),
    )
