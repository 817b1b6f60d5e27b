"""The merchant's pages of what is for sale and how much of it there is. Keys are never shown."""

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet, Sum
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import StackedInline, TabularInline
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import action
from unfold.enums import ActionVariant

from cardshop.common.admin import GuardedDeleteAdmin, MerchantAdmin, ReadOnlyAdmin
from cardshop.common.money import display
from cardshop.shops.models import Shop
from cardshop.traffic.display_cache import forget_on_commit
from inventory.admin_forms import PictureForm, ProductForm, VariantForm, VariantFormSet
from inventory.key_import_page import key_import_page
from inventory.models import CardKey, Category, KeyBatch, Product, ProductImage, Stock, Variant
from inventory.releases import release_more


class ShopOwnedAdmin(GuardedDeleteAdmin):
    """The shop is chosen at creation and stays: products, orders and keys hang on it."""

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return [*super().get_readonly_fields(request, obj), *(["shop"] if obj else [])]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"shop": Shop.objects.order_by("pk").first(), **super().get_changeform_initial_data(request)}


class ShownToBuyers(MerchantAdmin):
    """What is saved or deleted here stands on the shop's pages, which are forgotten."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        forget_on_commit(form.instance.shop_id)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        super().delete_model(request, obj)
        forget_on_commit(obj.shop_id)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        shops = set(queryset.order_by().values_list("shop", flat=True))
        super().delete_queryset(request, queryset)
        for shop_id in shops:
            forget_on_commit(shop_id)


@admin.register(Category)
class CategoryAdmin(ShownToBuyers, ShopOwnedAdmin):
    list_display = ["name", "name_en", "slug", "shop", "position"]
    list_filter = ["shop"]
    list_select_related = ["shop"]
    list_editable = ["position"]
    search_fields = ["name", "name_en", "slug"]
    fields = ["shop", ("name", "name_en"), "slug", "position"]


class ShowsPrice:
    @admin.display(description=_("price"), ordering="price_minor")
    def price(self, variant: Variant) -> str:
        return display(variant.price_minor, variant.currency)


class VariantInline(ShowsPrice, StackedInline):
    model = Variant
    form = VariantForm
    formset = VariantFormSet
    extra = 0
    can_delete = False
    show_change_link = True
    fields = [
        ("name", "name_en"),
        "code",
        ("price", "currency"),
        ("min_quantity", "max_quantity"),
        ("selling", "per_buyer_limit"),
        ("is_active", "position"),
    ]

    def get_min_num(self, request: HttpRequest, obj: Model | None = None, **kwargs: Any) -> int:
        return 0 if obj else 1


class PictureInline(TabularInline):
    model = ProductImage
    form = PictureForm
    extra = 0
    fields = ["file", "alt", "alt_en", "position"]


@admin.register(Product)
class ProductAdmin(ShownToBuyers, ShopOwnedAdmin):
    form = ProductForm
    list_display = ["name", "category", "shop", "is_listed", "position"]
    list_filter = ["is_listed", "shop", "category"]
    list_select_related = ["category", "shop"]
    list_editable = ["is_listed", "position"]
    search_fields = ["name", "name_en", "slug", "variants__code"]
    inlines = [VariantInline, PictureInline]
    fields = [
        "shop",
        "category",
        ("name", "name_en"),
        "slug",
        ("summary", "summary_en"),
        "description",
        "description_en",
        ("is_listed", "position"),
    ]


@admin.register(Variant)
class VariantAdmin(ShowsPrice, ShownToBuyers, GuardedDeleteAdmin):
    form = VariantForm
    list_display = [
        "name",
        "product",
        "code",
        "price",
        "selling",
        "total",
        "open_stock",
        "claimed",
        "free",
        "is_active",
    ]
    list_filter = ["is_active", "selling", "shop"]
    list_select_related = ["product"]
    search_fields = ["code", "name", "name_en", "product__name", "product__name_en"]
    autocomplete_fields = ["product"]
    fields = [
        "product",
        ("name", "name_en"),
        "code",
        ("price", "currency"),
        ("min_quantity", "max_quantity"),
        "per_buyer_limit",
        "selling",
        ("is_isolated", "sells_in_waves"),
        "low_stock_at",
        ("is_active", "position"),
        ("total", "open_stock"),
        ("claimed", "free"),
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return ["total", "open_stock", "claimed", "free", *(["product"] if obj else [])]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Variant]:
        variants: QuerySet[Variant] = super().get_queryset(request)
        return variants.annotate(
            total_sum=Sum("stocks__total"),
            released_sum=Sum("stocks__released"),
            claimed_sum=Sum("stocks__claimed"),
        )

    def save_model(self, request: HttpRequest, obj: Variant, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change and "sells_in_waves" in form.changed_data and not obj.sells_in_waves:
            # No wave will come for them any more. The admin saves in a transaction.
            release_more(obj.pk)

    @admin.display(description=_("total"))
    def total(self, variant: Any) -> int | None:
        return getattr(variant, "total_sum", None)

    @admin.display(description=_("open for sale"))
    def open_stock(self, variant: Any) -> int | None:
        return getattr(variant, "released_sum", None)

    @admin.display(description=_("held or sold"))
    def claimed(self, variant: Any) -> int | None:
        return getattr(variant, "claimed_sum", None)

    @admin.display(description=_("free"))
    def free(self, variant: Any) -> int | None:
        released = getattr(variant, "released_sum", None)
        return None if released is None else released - variant.claimed_sum


@admin.register(Stock)
class StockAdmin(ReadOnlyAdmin):
    list_display = ["variant", "pool", "total", "released", "claimed", "free"]
    list_filter = ["pool", "shop"]
    list_select_related = ["variant__product"]
    search_fields = ["variant__code", "variant__name", "variant__product__name"]
    fields = ["shop", "variant", "pool", "total", "released", "claimed", "free"]
    ordering = ["pk"]

    @admin.display(description=_("free"))
    def free(self, stock: Stock) -> int | None:
        return None if stock.released is None else stock.released - stock.claimed


@admin.register(KeyBatch)
class KeyBatchAdmin(ReadOnlyAdmin):
    list_display = ["imported_at", "variant", "imported", "duplicates", "refused", "imported_by", "note"]
    list_filter = ["shop", ("variant", AutocompleteSelectFilter)]
    list_filter_submit = True
    list_select_related = ["variant__product"]
    search_fields = ["note", "variant__code", "variant__name", "variant__product__name"]
    fields = ["shop", "variant", "note", "imported_by", "imported_at", "imported", "duplicates", "refused"]
    actions_list = ["import_keys"]

    def has_import_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("inventory.add_keybatch")

    @action(
        description=_("Import keys"),
        url_path="import",
        permissions=["import"],
        icon="upload",
        variant=ActionVariant.PRIMARY,
    )
    def import_keys(self, request: HttpRequest) -> Any:
        return key_import_page(request, self)


@admin.register(CardKey)
class CardKeyAdmin(ReadOnlyAdmin):
    list_display = ["__str__", "variant", "status", "batch"]
    list_filter = ["status", ("variant", AutocompleteSelectFilter), ("batch", AutocompleteSelectFilter)]
    list_filter_submit = True
    list_select_related = ["variant__product", "batch__variant__product"]
    fields = ["variant", "batch", "status"]
    ordering = ["-pk"]
    show_full_result_count = False
