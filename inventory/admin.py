"""The merchant's pages of what is for sale and how much of it there is. Keys are never shown."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count, Model, Q, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils.timezone import localdate
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_POST
from unfold.decorators import action
from unfold.enums import ActionVariant

from cardshop.common.admin import (
    GuardedDeleteAdmin,
    MerchantAdmin,
    MerchantStackedInline,
    MerchantTabularInline,
    ReadOnlyAdmin,
)
from cardshop.common.clock import db_now
from cardshop.common.money import display
from cardshop.common.shop_scope import ShopAutocompleteFilter
from cardshop.traffic.display_cache import forget_on_commit
from inventory.access_admin import KeyAccessAdmin
from inventory.admin_forms import BuyerFieldFormSet, PictureForm, ProductForm, VariantForm, VariantFormSet
from inventory.asking_pages import MAY_REVEAL, WhyForm, reveal_view
from inventory.batch_page import left_out_lines, progress_numbers, progress_of
from inventory.bulk_actions import ListsMany, PricesMany
from inventory.errors import CountedByKeys
from inventory.expiry import expiry_in_words
from inventory.imports.undoing import NothingToUndo, begin_undo
from inventory.key_import_page import key_import_page
from inventory.key_request_admin import KeyRequestAdmin
from inventory.models import (
    MOST_BUYER_FIELDS,
    BuyerField,
    CardKey,
    Category,
    Fulfilment,
    KeyBatch,
    Product,
    ProductImage,
    Stock,
    Variant,
)
from inventory.releases import release_more
from inventory.row_forms import VariantRowForm
from inventory.stock_page import stock_page

__all__ = [
    "CardKeyAdmin",
    "CategoryAdmin",
    "KeyAccessAdmin",
    "KeyBatchAdmin",
    "KeyRequestAdmin",
    "ProductAdmin",
    "StockAdmin",
    "VariantAdmin",
]


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
class CategoryAdmin(ShownToBuyers, GuardedDeleteAdmin):
    shop_path = "shop"
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


class VariantInline(ShowsPrice, MerchantStackedInline):
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
        "on_sale_from",
        "on_sale_until",
        ("is_active", "position"),
    ]

    def get_min_num(self, request: HttpRequest, obj: Model | None = None, **kwargs: Any) -> int:
        return 0 if obj else 1


class PictureInline(MerchantTabularInline):
    model = ProductImage
    form = PictureForm
    extra = 0
    fields = ["file", "alt", "alt_en", "position"]


@admin.register(Product)
class ProductAdmin(ListsMany, ShownToBuyers, GuardedDeleteAdmin):
    shop_path = "shop"
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
        "usage_notes",
        "usage_notes_en",
        ("is_listed", "position"),
        "stock_display",
    ]


class BuyerFieldInline(MerchantTabularInline):
    model = BuyerField
    formset = BuyerFieldFormSet
    extra = 0
    max_num = MOST_BUYER_FIELDS
    validate_max = True
    fields = ["position", "name", "name_en", "kind", "is_required", "max_length"]


@admin.register(Variant)
class VariantAdmin(ShowsPrice, PricesMany, ShownToBuyers, GuardedDeleteAdmin):
    shop_path = "shop"
    form = VariantForm
    list_form = VariantRowForm
    list_display = [
        "name",
        "product",
        "price_minor",
        "is_active",
        "per_buyer_limit",
        "position",
        "free",
        "claimed",
        "open_stock",
        "total",
        "code",
        "fulfilment",
        "selling",
    ]
    list_editable = ["price_minor", "is_active", "per_buyer_limit", "position"]
    list_filter = ["is_active", "fulfilment", "selling", "shop"]
    list_select_related = ["product"]
    search_fields = ["code", "name", "name_en", "product__name", "product__name_en"]
    autocomplete_fields = ["product"]
    actions_detail = ["set_stock"]
    fields = [
        "product",
        ("name", "name_en"),
        "code",
        ("price", "currency"),
        ("min_quantity", "max_quantity"),
        "per_buyer_limit",
        ("fulfilment", "fulfil_within_hours"),
        "selling",
        ("is_isolated", "sells_in_waves"),
        "on_sale_from",
        "on_sale_until",
        "low_stock_at",
        ("is_active", "position"),
        ("total", "open_stock"),
        ("claimed", "free"),
    ]

    def get_list_display(self, request: HttpRequest) -> list[str]:
        """Who only looks is shown prices as people read them."""
        columns = list(super().get_list_display(request))
        if self.has_change_permission(request):
            return columns
        return ["price" if column == "price_minor" else column for column in columns]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return ["total", "open_stock", "claimed", "free", *(["product"] if obj else [])]

    def get_inlines(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [BuyerFieldInline] if obj and obj.fulfilment == Fulfilment.MANUAL else []

    def get_queryset(self, request: HttpRequest) -> QuerySet[Variant]:
        variants: QuerySet[Variant] = super().get_queryset(request)
        return variants.annotate(
            total_sum=Sum("stocks__total"),
            released_sum=Sum("stocks__released"),
            claimed_sum=Sum("stocks__claimed"),
            unlimited=Count("stocks", filter=Q(stocks__total=None)),
        )

    def save_model(self, request: HttpRequest, obj: Variant, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change and "sells_in_waves" in form.changed_data and not obj.sells_in_waves:
            # No wave will come for them any more. The admin saves in a transaction.
            release_more(obj.pk)

    @action(
        description=_("Stock and text"),
        url_path="stock",
        permissions=["change"],
        icon="stacks",
        variant=ActionVariant.PRIMARY,
    )
    def set_stock(self, request: HttpRequest, object_id: str) -> Any:
        variant = self.row_or_404(request, object_id)
        if variant.fulfilment == Fulfilment.CARD_KEY:
            messages.info(request, str(CountedByKeys.message))
            return redirect("admin:inventory_keybatch_import_keys")
        return stock_page(request, self, variant)

    @admin.display(description=_("total"))
    def total(self, variant: Any) -> int | None:
        return _counted(variant, "total_sum")

    @admin.display(description=_("open for sale"))
    def open_stock(self, variant: Any) -> int | None:
        return _counted(variant, "released_sum")

    @admin.display(description=_("held or sold"))
    def claimed(self, variant: Any) -> int | None:
        return getattr(variant, "claimed_sum", None)

    @admin.display(description=_("free"))
    def free(self, variant: Any) -> int | None:
        released = _counted(variant, "released_sum")
        return None if released is None else released - variant.claimed_sum


def _counted(variant: Any, name: str) -> int | None:
    """Over all pools; None where one of them has no end. A new variant has none yet."""
    return None if getattr(variant, "unlimited", 0) else getattr(variant, name, None)


@admin.register(Stock)
class StockAdmin(ReadOnlyAdmin):
    shop_path = "shop"
    list_display = ["variant", "pool", "total", "released", "claimed", "free", "short"]
    list_filter = ["pool", "shop"]
    list_select_related = ["variant__product"]
    search_fields = ["variant__code", "variant__name", "variant__product__name"]
    fields = ["shop", "variant", "pool", "total", "released", "claimed", "free", "short"]
    ordering = ["pk"]

    @admin.display(description=_("free"))
    def free(self, stock: Stock) -> int | None:
        return None if stock.released is None else stock.released - stock.claimed


@admin.register(KeyBatch)
class KeyBatchAdmin(ReadOnlyAdmin):
    shop_path = "shop"
    list_display = [
        "imported_at",
        "variant",
        "origin",
        "state",
        "imported",
        "duplicates",
        "refused",
        "undone",
        "good_until",
        "imported_by",
        "note",
    ]
    list_filter = ["origin", "state", "shop", ("variant", ShopAutocompleteFilter)]
    list_filter_submit = True
    list_select_related = ["variant__product"]
    search_fields = ["note", "variant__code", "variant__name", "variant__product__name"]
    fields = [
        "shop",
        ("variant", "origin"),
        ("unit_cost", "good_until"),
        "note",
        ("imported_by", "imported_at"),
    ]
    readonly_fields = ["unit_cost", "good_until"]
    actions_list = ["import_keys"]
    change_form_template = "admin/inventory/batch.html"
    change_form_outer_before_template = "admin/inventory/_batch_progress.html"

    @admin.display(description=_("good until"), ordering="expires_on")
    def good_until(self, batch: KeyBatch) -> str:
        return expiry_in_words(batch.expires_on, localdate())

    def has_import_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("inventory.add_keybatch")

    def has_undo_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("inventory.delete_keybatch")

    @admin.display(description=_("cost of a key"))
    def unit_cost(self, batch: KeyBatch) -> str:
        if batch.unit_cost_minor is None:
            return "-"
        return display(batch.unit_cost_minor, batch.cost_currency)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        batch = self.get_object(request, object_id)
        context = {**(extra_context or {}), "may_undo": self.has_undo_permission(request)}
        if batch:
            context["progress"] = progress_of(batch)
        return super().change_view(request, object_id, form_url, context)

    def get_urls(self) -> list[URLPattern]:
        return [
            self._page("<int:pk>/progress/", "progress", require_GET(self.progress_view)),
            self._page("<int:pk>/left-out/", "left_out", require_GET(self.left_out_view)),
            self._page("<int:pk>/undo/", "undo", require_POST(self.undo_view)),
            *super().get_urls(),
        ]

    def _page(self, route: str, name: str, view: Any) -> URLPattern:
        pattern: URLPattern = path(route, self.admin_site.admin_view(view), name=f"inventory_keybatch_{name}")
        return pattern

    def progress_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return progress_numbers(self._batch(request, pk))

    def left_out_view(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        return left_out_lines(self._batch(request, pk))

    def undo_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        batch = self._batch(request, pk)
        if not self.has_undo_permission(request):
            raise PermissionDenied
        try:
            with transaction.atomic(durable=True):
                if begin_undo(batch, now=db_now()):
                    self.log_change(request, batch, gettext("Undone."))
        except NothingToUndo as refused:
            messages.warning(request, str(refused))
        return redirect("admin:inventory_keybatch_change", pk)

    def _batch(self, request: HttpRequest, pk: int) -> KeyBatch:
        batch: KeyBatch = get_object_or_404(self.get_queryset(request).select_related("shop"), pk=pk)
        if not self.has_view_permission(request, batch):
            raise PermissionDenied
        return batch

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
    shop_path = "shop"
    list_display = ["__str__", "variant", "status", "void_because", "expires_on", "batch"]
    list_filter = ["status", ("variant", ShopAutocompleteFilter), ("batch", ShopAutocompleteFilter)]
    list_filter_submit = True
    list_select_related = ["variant__product", "batch__variant__product"]
    fields = ["variant", "batch", ("status", "void_because"), "expires_on"]
    ordering = ["-pk"]
    change_form_outer_before_template = "admin/inventory/ask_for_key.html"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.reveal))
        return [path("<int:pk>/reveal/", view, name="inventory_cardkey_reveal"), *super().get_urls()]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        if object_id and request.user.has_perm(MAY_REVEAL):
            ask_url = reverse("admin:inventory_cardkey_reveal", args=[object_id])
            extra_context = {**(extra_context or {}), "why_form": WhyForm(), "ask_url": ask_url}
        return super().changeform_view(request, object_id, form_url, extra_context)

    def reveal(self, request: HttpRequest, pk: int) -> HttpResponse:
        keys = self.get_queryset(request).select_related("batch__shop")
        return reveal_view(request, get_object_or_404(keys, pk=pk))
