"""The merchant's pages of sales: their terms and waves, a live view with its buttons, and who waits."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_POST
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import PaginationInlineFormSet

from cardshop.common.admin import MerchantTabularInline, ReadOnlyAdmin
from cardshop.common.clock import db_now
from cardshop.common.shop_scope import ShopAutocompleteFilter
from inventory.admin import ProductAdmin, ShownToBuyers, VariantAdmin
from inventory.admin_forms import VariantForm
from inventory.errors import OutOfStock
from inventory.models import Fulfilment, Product, Selling, Variant
from orders import errors
from orders.admission.sales import ensure_sale, open_anew, pause_sale, resume_sale
from orders.admission.waves import release_wave, unreleased
from orders.fulfilling_admin import ToFillInAdmin
from orders.models import Registration, Sale, Ticket, Wave
from orders.sale_page import sale_numbers, sale_page, state_of
from orders.services.kinds import change_kind, why_kind_is_fixed

__all__ = ["ToFillInAdmin"]

REASONS = {
    error.code: error.message
    for error in (
        errors.LineFull,
        errors.SoldOut,
        OutOfStock,
        errors.NotForSale,
        errors.LimitReached,
        errors.TooManyUnpaid,
        errors.TooManyTickets,
    )
} | {"wrong_quantity": gettext_lazy("More or fewer than one order may have.")}


class SaleForm(forms.ModelForm):  # type: ignore[type-arg]
    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or self.cleaned_data
        registers, opens, closes = (
            cleaned.get(name) for name in ("registration_opens_at", "opens_at", "closes_at")
        )
        if registers and not opens and "opens_at" not in self.errors:
            self.add_error("opens_at", _("Say when the sale opens: until then buyers may register."))
        elif registers and opens and registers >= opens:
            self.add_error("registration_opens_at", _("Registration has to open before the sale does."))
        if "opens_at" in self.changed_data and not opens and "opens_at" not in self.errors:
            # It opens now: without a moment nobody who is registered would ever be let in.
            opens = cleaned["opens_at"] = db_now()
        if opens and closes and closes <= opens:
            self.add_error("closes_at", _("It has to close after it opens."))
        return cleaned

    def clean_variant(self) -> Variant:
        variant: Variant = self.cleaned_data["variant"]
        self.instance.shop_id = variant.shop_id
        return variant


class WaveForm(forms.ModelForm):  # type: ignore[type-arg]
    """What was released stays as it is."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.released_at:
            for field in self.fields.values():
                field.disabled = True


class WaveFormSet(PaginationInlineFormSet):
    """Writes only what was changed, and only while the wave is still to come: it may be released just now."""

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        if form.instance.released_at:
            form.fields["DELETE"].disabled = True

    def save_existing(self, form: Any, obj: Wave, commit: bool = True) -> Wave:
        unreleased(obj).update(**{name: form.cleaned_data[name] for name in form.changed_data})
        return obj

    def delete_existing(self, obj: Wave, commit: bool = True) -> None:
        unreleased(obj).delete()


class WaveInline(MerchantTabularInline):
    model = Wave
    form = WaveForm
    formset = WaveFormSet
    extra = 0
    hide_title = True
    fields = ["quantity", "opens_at", "released_at", "released"]
    readonly_fields = ["released_at", "released"]


@admin.register(Sale)
class SaleAdmin(ShownToBuyers):
    """Comes by itself with the choice to sell through a line; only who sells directly again may delete it."""

    shop_path = "shop"
    form = SaleForm
    list_display = ["variant", "state", "selling", "opens_at", "closes_at", "watch"]
    list_filter = ["is_paused", "shop"]
    list_select_related = ["variant__product"]
    search_fields = ["variant__code", "variant__name", "variant__product__name"]
    autocomplete_fields = ["variant"]
    inlines = [WaveInline]
    actions_detail = ["live"]
    fields = [
        "variant",
        "registration_opens_at",
        "opens_at",
        "closes_at",
        ("hold_seconds", "line_cap"),
        "proof_of_work",
        "is_paused",
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return ["variant"] if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        if not isinstance(obj, Sale) or obj.variant.selling == Selling.QUEUED:
            return False
        waits = Ticket.objects.filter(variant=obj.variant_id, status="waiting").exists()
        return not waits and super().has_delete_permission(request, obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Sale]:
        sales: QuerySet[Sale] = super().get_queryset(request)
        return sales.select_related("variant__product").annotate(now=Now())

    @admin.display(description=gettext_lazy("state"))
    def state(self, sale: Any) -> str:
        return state_of(sale, sale.now)

    @admin.display(description=gettext_lazy("way of selling"), ordering="variant__selling")
    def selling(self, sale: Sale) -> str:
        return str(sale.variant.get_selling_display())

    @admin.display(description=gettext_lazy("live"))
    def watch(self, sale: Sale) -> str:
        return format_html(
            '<a href="{}" class="font-semibold text-primary-600 dark:text-primary-500">{}</a>',
            reverse("admin:orders_sale_live", args=[sale.pk]),
            _("Watch"),
        )

    def save_model(self, request: HttpRequest, obj: Sale, form: Any, change: bool) -> None:
        """Nothing but what was changed: the allocator writes into the same row."""
        changed = set(form.changed_data)
        if not change:
            super().save_model(request, obj, form, change)
            return
        if "is_paused" in changed:
            (pause_sale if obj.is_paused else resume_sale)(obj)
        if "opens_at" in changed and Sale.objects.filter(pk=obj.pk, registered_let_in=True).exists():
            open_anew(obj)
        if columns := changed - {"is_paused"}:
            obj.save(update_fields=columns)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        variant = form.instance.variant
        if not variant.sells_in_waves and Wave.objects.filter(sale=form.instance, released_at=None).exists():
            messages.warning(
                request,
                _(
                    "New keys of %(variant)s are for sale at once."
                    " For waves, tick “sold in waves” on its page."
                )
                % {"variant": variant},
            )

    # The live page

    def get_urls(self) -> list[URLPattern]:
        return [
            self._page("<int:pk>/numbers/", "numbers", require_GET(self.numbers_view)),
            self._page("<int:pk>/pause/", "pause", require_POST(self.pause_view)),
            self._page("<int:pk>/resume/", "resume", require_POST(self.resume_view)),
            self._page("<int:pk>/waves/<int:wave_pk>/release/", "release", require_POST(self.release_view)),
            *super().get_urls(),
        ]

    def _page(self, route: str, name: str, view: Any) -> URLPattern:
        pattern: URLPattern = path(route, self.admin_site.admin_view(view), name=f"orders_sale_{name}")
        return pattern

    @action(
        description=gettext_lazy("Watch live"),
        url_path="live",
        permissions=["view"],
        icon="monitoring",
        variant=ActionVariant.PRIMARY,
    )
    def live(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return sale_page(request, self, self._sale(request, object_id))

    def numbers_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return sale_numbers(self._sale(request, pk))

    def pause_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        sale = self._sale(request, pk, to_change=True)
        if self._done(request, sale, pause_sale, _("Paused.")):
            messages.success(request, _("The sale is paused: nobody gets anything new. Paying goes on."))
        return redirect("admin:orders_sale_live", pk)

    def resume_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        sale = self._sale(request, pk, to_change=True)
        if self._done(request, sale, resume_sale, _("Goes on.")):
            messages.success(request, _("The sale goes on."))
        return redirect("admin:orders_sale_live", pk)

    @transaction.atomic
    def _done(self, request: HttpRequest, sale: Sale, act: Callable[[Sale], bool], said: str) -> bool:
        if won := act(sale):
            self.log_change(request, sale, said)
        return won

    def release_view(self, request: HttpRequest, pk: int, wave_pk: int) -> HttpResponse:
        sale = self._sale(request, pk, to_change=True)
        wave = get_object_or_404(Wave, pk=wave_pk, sale=sale)
        with transaction.atomic():
            count = release_wave(wave, now=db_now())
            if count is not None:
                self.log_change(request, sale, _("Wave released: %s") % f"{count}/{wave.quantity}")
        if count is None:
            messages.warning(request, _("This wave has been released already."))
        else:
            level = messages.SUCCESS if count == wave.quantity else messages.WARNING
            told = ngettext("%(count)d unit released.", "%(count)d units released.", count) % {"count": count}
            if count < wave.quantity:
                told += " " + _("There are no more keys; import some, and plan another wave.")
            messages.add_message(request, level, told)
        return redirect("admin:orders_sale_live", pk)

    def _sale(self, request: HttpRequest, pk: str | int, *, to_change: bool = False) -> Sale:
        sale: Sale = self.row_or_404(request, pk)
        allowed = self.has_change_permission if to_change else self.has_view_permission
        if not allowed(request, sale):
            raise PermissionDenied
        return sale


@admin.register(Ticket)
class TicketAdmin(ReadOnlyAdmin):
    shop_path = "shop"
    list_display = [
        "place",
        "variant",
        "quantity",
        "contact_email",
        "status",
        "why",
        "settled_at",
        "ended_at",
    ]
    list_filter = ["status", "shop", ("variant", ShopAutocompleteFilter)]
    list_filter_submit = True
    list_select_related = ["variant__product"]
    search_fields = ["=contact_email"]
    fields = [
        "variant",
        ("place", "quantity"),
        ("contact_email", "language"),
        ("status", "why"),
        ("settled_at", "ended_at"),
    ]
    ordering = ["-pk"]

    @admin.display(description=gettext_lazy("reason"), ordering="reason")
    def why(self, ticket: Ticket) -> str:
        return str(REASONS.get(ticket.reason, ticket.reason)) or "-"


@admin.register(Registration)
class RegistrationAdmin(ReadOnlyAdmin):
    shop_path = "sale__shop"
    list_display = ["contact_email", "sale", "quantity", "language", "registered_at"]
    list_filter = [("sale", ShopAutocompleteFilter)]
    list_filter_submit = True
    list_select_related = ["sale__variant__product"]
    search_fields = ["=contact_email"]
    fields = ["sale", "contact_email", "language", "quantity", "registered_at"]
    ordering = ["-pk"]


class SoldProductAdmin(ProductAdmin):
    """With a Sale for each variant that is sold through a line."""

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        if formset.model is Variant:
            for variant in form.instance.variants.filter(selling=Selling.QUEUED):
                ensure_sale(variant)


class SoldVariantForm(VariantForm):
    def clean_fulfilment(self) -> str:
        to = super().clean_fulfilment()
        is_changed = self.instance.pk and to != self.instance.fulfilment
        if is_changed and (why_not := why_kind_is_fixed(self.instance)):
            raise forms.ValidationError(str(why_not))
        return to


class SoldVariantAdmin(VariantAdmin):
    """With its Sale, which comes in the same transaction as the choice to sell through a line."""

    form = SoldVariantForm

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        fields = list(super().get_fields(request, obj))
        if obj and Sale.objects.filter(variant=obj.pk).exists():
            fields.insert(fields.index("selling") + 1, "sale")
        return fields

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return [*super().get_readonly_fields(request, obj), "sale"]

    @admin.display(description=gettext_lazy("sale"))
    def sale(self, variant: Variant) -> str:
        sale = Sale.objects.get(variant=variant)
        return format_html(
            '<a href="{}" class="font-semibold text-primary-600 dark:text-primary-500">{}</a>',
            reverse("admin:orders_sale_change", args=[sale.pk]),
            _("its terms and waves"),
        )

    def save_model(self, request: HttpRequest, obj: Variant, form: Any, change: bool) -> None:
        if change and obj.fulfilment != form.initial.get("fulfilment", obj.fulfilment):
            change_kind(obj, Fulfilment(obj.fulfilment), within_hours=obj.fulfil_within_hours)
        super().save_model(request, obj, form, change)
        if obj.selling == Selling.QUEUED:
            ensure_sale(obj)


# Inventory may not know of sales, so these take the place of its own pages.
for model, page in ((Product, SoldProductAdmin), (Variant, SoldVariantAdmin)):
    admin.site.unregister(model)
    admin.site.register(model, page)
