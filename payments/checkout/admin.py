"""The merchant's page of an order: everything that happened to it, and what one may do about it."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from cardshop.common.admin import AttentionFilter, CalendarFilter
from cardshop.common.clock import db_now
from cardshop.common.errors import DomainError
from cardshop.common.money import display
from orders.fulfilling_admin import fill_in_address
from orders.models import Order
from payments.checkout.attention import attention_view, remedy_view
from payments.checkout.balance_admin import BalanceAdmin
from payments.checkout.batch_admin import KeyRecallAdmin, SoldBatchAdmin
from payments.checkout.dealt_with import DealtWithAdmin
from payments.checkout.helping import HELP, possible_help
from payments.checkout.order_story import sections
from payments.checkout.reasons import in_words
from payments.checkout.refund_admin import RefundAdmin, refund_form, refund_view
from payments.checkout.statement_admin import StatementAdmin
from payments.services.resolving import resolvable, resolve_order

__all__ = ["BalanceAdmin", "KeyRecallAdmin", "OrderAdmin", "RefundAdmin", "SoldBatchAdmin", "StatementAdmin"]


class PlacedFilter(CalendarFilter):
    field = "placed_at"


@admin.register(Order)
class OrderAdmin(DealtWithAdmin):
    shop_path = "shop"
    list_display = ["number", "status", "total", "contact_email", "placed_at", "why"]
    list_filter = [AttentionFilter, "status", "shop", "placed_at", PlacedFilter]
    search_fields = [
        "=number",
        "=contact_email",
        "=payment__attempts__out_trade_no",
        "=payment__attempts__receipts__provider_txn_id",
    ]
    search_help_text = _("Number, e-mail, our payment number, or the provider's")
    ordering = ["-placed_at", "-pk"]  # by pk, a month of long ago would be looked for through all since
    fields = [
        "why",
        ("number", "status"),
        ("total", "shop"),
        ("contact_email", "language"),
        ("placed_at", "reserved_until"),
        "delivered_at",
    ]
    change_form_outer_before_template = "admin/orders/actions.html"
    change_form_after_template = "admin/orders/story.html"

    @admin.display(description=_("amount"), ordering="total_minor")
    def total(self, order: Order) -> str:
        return display(order.total_minor, order.currency)

    @admin.display(description=_("needs attention because"), ordering="attention")
    def why(self, order: Order) -> str:
        return in_words(order.attention) or "-"

    def waits(self, row: Order) -> bool:
        return resolvable(row)

    def resolve(self, request: HttpRequest, row: Order, *, why: str, what: str) -> None:
        resolve_order(row, why=why, what=what, actor=request.user.get_username(), now=db_now())

    def get_urls(self) -> list[URLPattern]:
        def post_only(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
            guarded: Callable[..., HttpResponse] = self.admin_site.admin_view(require_POST(view))
            return guarded

        help_view = post_only(self.help_view)
        return [
            path("<int:pk>/help/<slug:kind>/", help_view, name="orders_order_help"),
            path("<int:pk>/refund/", post_only(refund_view), name="orders_order_refund"),
            path("attention/", self.admin_site.admin_view(attention_view), name="attention"),
            path(
                "attention/<slug:kind>/<int:pk>/<slug:remedy>/",
                post_only(remedy_view),
                name="attention_remedy",
            ),
            *super().get_urls(),
        ]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        order = self.get_object(request, object_id) if object_id else None
        if order and self.has_view_permission(request, order):
            extra_context = {**(extra_context or {}), "sections": sections(order)}
            extra_context["fill_in_address"] = fill_in_address(order)
            if request.user.has_perm("orders.change_order"):
                extra_context["possible_help"] = possible_help(order)
            if request.user.has_perm("payments.add_refund"):
                extra_context["refund_form"] = refund_form(order)
        return super().changeform_view(request, object_id, form_url, extra_context)

    def help_view(self, request: HttpRequest, pk: int, kind: str) -> HttpResponse:
        """A button of the order's page."""
        order: Order = self.row_or_404(request, pk)
        if kind not in HELP or not request.user.has_perm("orders.change_order"):
            messages.error(request, _("You may not do that."))
        else:
            try:
                HELP[kind].act(order, actor=request.user.get_username(), now=db_now())
                messages.success(request, str(HELP[kind].done))
            except DomainError as refused:
                messages.warning(request, str(refused))
        return redirect("admin:orders_order_change", pk)
