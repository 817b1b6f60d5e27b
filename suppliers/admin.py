"""The merchant's pages of suppliers, of what comes from them, and of what was asked for there."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet, URLField
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.html import format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST
from unfold.decorators import action

from cardshop.common.admin import MerchantAdmin, ReadOnlyAdmin, at
from cardshop.common.clock import db_now
from cardshop.common.fresh_code import FreshCodeAdmin
from cardshop.common.money import display
from cardshop.outbox.services import wake
from suppliers.drivers import upstream_of
from suppliers.drivers.base import NotNow, Unclear
from suppliers.forms import SuppliedVariantForm, SupplierForm
from suppliers.models import UNDER_WAY, SuppliedVariant, Supplier, SupplierOrder
from suppliers.noticing import FORWARD
from suppliers.saying import in_words


@admin.register(Supplier)
class SupplierAdmin(FreshCodeAdmin):
    """Whoever changes one says where our money is spent, and has entered a code."""

    shop_path = "shop"
    form = SupplierForm
    formfield_overrides = {URLField: {"assume_scheme": "https"}}
    list_display = ["name", "base_url", "shop", "is_enabled", "answered_at", "agrees"]
    list_filter = ["is_enabled", "shop"]
    list_select_related = ["shop"]
    readonly_fields = ["answered_at", "error", "compared_at", "differ"]
    change_form_outer_before_template = "admin/suppliers/try_form.html"

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        may_edit = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        secret = ["secret"] if may_edit else []
        told = ["answered_at", "error", "compared_at", "differ"]
        return [
            (None, {"fields": ["shop", "name", "base_url", "key_name", *secret, "is_enabled"]}),
            *([(gettext_lazy("Stock and ledgers"), {"fields": told})] if obj else []),
        ]

    @admin.display(description=gettext_lazy("last error"))
    def error(self, supplier: Supplier) -> str:
        return in_words(supplier.last_error) or "-"

    @admin.display(description=gettext_lazy("the ledgers differ"))
    def differ(self, supplier: Supplier) -> str:
        lines = in_words(supplier.differences).splitlines()
        return format_html_join("", "<p>{}</p>", ((line,) for line in lines)) or "-"

    @admin.display(description=gettext_lazy("ledgers agree"), boolean=True)
    def agrees(self, supplier: Supplier) -> bool | None:
        return None if supplier.compared_at is None else not supplier.differences

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.try_view))
        return [path("<int:pk>/try/", view, name="suppliers_supplier_try"), *super().get_urls()]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        extra_context = {**(extra_context or {}), "may_try": self.has_change_permission(request)}
        return super().changeform_view(request, object_id, form_url, extra_context)

    def try_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Now: whoever presses the button waits for the answer."""
        supplier: Supplier = self.row_or_404(request, pk)
        if not self.has_change_permission(request, supplier):
            raise PermissionDenied
        try:
            account = upstream_of(supplier).account()
        except (NotNow, Unclear) as error:
            messages.error(request, _("It does not work: %s") % in_words(str(error)))
        else:
            said = {"name": account.name, "amount": display(account.balance_minor, account.currency)}
            messages.success(request, _("It works: you are “%(name)s” there, and have %(amount)s.") % said)
        return redirect("admin:suppliers_supplier_change", pk)


@admin.register(SuppliedVariant)
class SuppliedVariantAdmin(MerchantAdmin):
    shop_path = "supplier__shop"
    form = SuppliedVariantForm
    list_display = ["variant", "supplier", "their_code", "most_minor"]
    list_filter = ["supplier"]
    list_select_related = ["variant__product", "supplier"]
    search_fields = ["their_code", "variant__code"]
    fields = ["variant", "supplier", "their_code", "most_minor"]


@admin.register(SupplierOrder)
class SupplierOrderAdmin(ReadOnlyAdmin):
    """The log of what was asked for. To change one is to have it tried again."""

    shop_path = "supplier__shop"
    list_display = ["reference", "supplier", "their_code", "quantity", "status", "problem", "cost", "made_at"]
    list_filter = ["status", "supplier"]
    list_select_related = ["supplier"]
    search_fields = ["=reference", "=their_number"]
    fields = [
        ("reference", "supplier"),
        ("their_code", "quantity", "most_minor"),
        ("status", "problem"),
        ("their_number", "cost_minor"),
        ("attempts", "error", "tried_next"),
        ("made_at", "asked_at", "ended_at"),
    ]
    readonly_fields = ["error", "tried_next"]
    actions = ["try_again"]

    @admin.display(description=gettext_lazy("cost in minor units"), ordering="cost_minor")
    def cost(self, row: SupplierOrder) -> str:
        return "-" if row.cost_minor is None else str(row.cost_minor)

    @admin.display(description=gettext_lazy("last error"))
    def error(self, row: SupplierOrder) -> str:
        return in_words(row.last_error) or "-"

    @admin.display(description=gettext_lazy("next try at"))
    def tried_next(self, row: SupplierOrder) -> str:
        return at(row.next_at)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("suppliers.change_supplierorder")

    @action(description=gettext_lazy("Try again"), permissions=["retry"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[SupplierOrder]) -> None:
        """Now, and not when it would be its turn: the same order, under the same key."""
        under_way = SupplierOrder.objects.filter(
            pk__in=list(queryset.values_list("pk", flat=True)), status__in=UNDER_WAY
        )
        with self.noting(request, under_way):
            again = under_way.update(next_at=db_now())
            transaction.on_commit(lambda: wake(FORWARD), robust=True)
        self.message_user(
            request,
            ngettext("%(count)d is being tried again.", "%(count)d are being tried again.", again)
            % {"count": again},
            messages.SUCCESS if again else messages.WARNING,
        )
