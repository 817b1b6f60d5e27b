"""The merchant's list of what has to be filled in by hand, the most urgent first."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, Model, Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cardshop.common.admin import ReadOnlyAdmin
from cardshop.common.shop_scope import ShopAutocompleteFilter, within
from orders.filling_page import filling_page
from orders.models import Order, OrderItem
from orders.services.fulfilling import WAITING, waiting_lines

BADGE_COUNTS_TO = 99


@admin.register(OrderItem)
class ToFillInAdmin(ReadOnlyAdmin):
    """Who may see orders sees it, and who may change them fills in."""

    shop_path = "order__shop"
    list_display = ["number", "what", "missing", "contact", "due"]
    list_filter = [("variant", ShopAutocompleteFilter)]
    list_filter_submit = True
    list_select_related = ["order", "variant"]
    search_fields = ["=order__number", "=order__contact_email"]
    search_help_text = gettext_lazy("Number or e-mail")
    ordering = ["due_at", "pk"]

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("orders.view_order") and self.is_theirs(request, obj)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[OrderItem]:
        lines: QuerySet[OrderItem] = super().get_queryset(request)
        given = Count("delivered_keys", filter=Q(delivered_keys__replaced_by=None))
        return lines.filter(WAITING).annotate(given=given, is_overdue=Q(due_at__lt=Now()))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return super().changelist_view(request, {"title": _("To be filled in"), **(extra_context or {})})

    @admin.display(description=gettext_lazy("order"), ordering="order__number")
    def number(self, line: OrderItem) -> str:
        return line.order.number

    @admin.display(description=gettext_lazy("what"))
    def what(self, line: OrderItem) -> str:
        return f"{line.product_name} · {line.variant_name}"

    @admin.display(description=gettext_lazy("missing"))
    def missing(self, line: Any) -> str:
        return _("%(missing)d of %(all)d") % {"missing": line.quantity - line.given, "all": line.quantity}

    @admin.display(description=gettext_lazy("contact e-mail"))
    def contact(self, line: OrderItem) -> str:
        return line.order.contact_email

    @admin.display(description=gettext_lazy("due at"), ordering="due_at")
    def due(self, line: Any) -> Any:
        if line.is_overdue:
            return format_html('<strong class="text-red-600 dark:text-red-400">{}</strong>', _("overdue"))
        return line.due_at

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.fill_in_view)
        return [path("order/<int:pk>/", view, name="orders_orderitem_fill_in"), *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """A line is filled in on its order's page, whether or not it still waits."""
        lines = within(request, OrderItem.objects.all())
        line = get_object_or_404(lines, pk=object_id if object_id.isdecimal() else None)
        return redirect("admin:orders_orderitem_fill_in", line.order_id)

    def fill_in_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        orders = within(request, Order.objects.filter(items__due_at__isnull=False).distinct())
        order = get_object_or_404(orders, pk=pk)
        return filling_page(request, self, order)


def waiting_badge(request: HttpRequest) -> str:
    """How many lines wait, for the sidebar; empty for none."""
    if not request.user.has_perm("orders.view_order"):
        return ""
    count = within(request, waiting_lines()).order_by()[: BADGE_COUNTS_TO + 1].count()
    return f"{BADGE_COUNTS_TO}+" if count > BADGE_COUNTS_TO else str(count or "")


def fill_in_address(order: Order) -> str:
    """The page where the order is filled in; empty for one with nothing to fill in."""
    if not OrderItem.objects.filter(order=order, due_at__isnull=False).exists():
        return ""
    return reverse("admin:orders_orderitem_fill_in", args=[order.pk])
