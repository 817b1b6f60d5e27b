"""The merchant's page of price lists."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from cardshop.common.admin import GuardedDeleteAdmin, MerchantTabularInline
from cardshop.common.clock import db_now
from resellers.models import OnwardPrice, PriceList, PriceTier
from resellers.price_forms import BASIS_POINTS, LineFormSet, OnwardPriceForm, PriceListForm, TierForm


class LineInline(MerchantTabularInline):
    """By pages: each row looks up the variant that it names."""

    formset = LineFormSet
    per_page = 25
    extra = 0
    autocomplete_fields = ["variant"]


class TierInline(LineInline):
    model = PriceTier
    form = TierForm
    fields = ["variant", "from_quantity", "unit_price_minor"]


class OnwardPriceInline(LineInline):
    model = OnwardPrice
    form = OnwardPriceForm
    fields = ["variant", "least_minor"]


@admin.register(PriceList)
class PriceListAdmin(GuardedDeleteAdmin):
    """What is in a currency stays in it: the prices below are numbers."""

    shop_path = "shop"
    form = PriceListForm
    list_display = ["name", "currency", "percent", "given_to", "changed_at"]
    list_filter = ["currency", "shop"]
    search_fields = ["name"]
    inlines = [TierInline, OnwardPriceInline]
    fields = ["shop", ("name", "currency"), "discount"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[PriceList]:
        price_lists: QuerySet[PriceList] = super().get_queryset(request)
        return price_lists.annotate(resellers_count=Count("resellers"))

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return [*super().get_readonly_fields(request, obj), *(["currency"] if obj else [])]

    @admin.display(description=_("discount"), ordering="discount_basis_points")
    def percent(self, price_list: PriceList) -> str:
        return f"{price_list.discount_basis_points / BASIS_POINTS:.2f} %"

    @admin.display(description=_("resellers"))
    def given_to(self, price_list: Any) -> int:
        return int(price_list.resellers_count)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Lines count as well. The audit log tells of them by themselves."""
        super().save_related(request, form, formsets, change)
        PriceList.objects.filter(pk=form.instance.pk).update(changed_at=db_now())
