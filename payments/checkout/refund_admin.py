"""The merchant's pages of money that goes back: asking for it, letting it go, saying what came of it."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from cardshop.common.admin import AttentionFilter
from cardshop.common.clock import db_now
from cardshop.common.errors import DomainError
from cardshop.common.money import display, to_minor
from cardshop.common.shop_scope import within
from orders.models import Order, OrderItem
from orders.states import ItemStatus
from payments.checkout.dealt_with import DealtWithAdmin
from payments.checkout.reasons import in_words
from payments.checkout.remedies import remedies_of_refund
from payments.models import Receipt, Refund
from payments.selectors import WAITS_FOR_PERSON
from payments.services.refunds import refundable_minor, request_refund
from payments.services.resolving import DEALT_WITH, resolve_refund
from payments.states import ReceiptStatus

REASON_MAX = 120


class RefundForm(forms.Form):
    """`what` is a line of the order, `item:ID`, or money that came, `money:ID`."""

    what = forms.ChoiceField(label=gettext_lazy("What goes back"), widget=UnfoldAdminSelectWidget)
    amount = forms.CharField(
        label=gettext_lazy("Amount"),
        required=False,
        max_length=20,
        help_text=gettext_lazy("Empty: all of it."),
        widget=UnfoldAdminTextInputWidget({"inputmode": "decimal", "autocomplete": "off"}),
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=REASON_MAX,
        widget=UnfoldAdminTextInputWidget({"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, order: Order, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.order = order
        self.offers = _offers(order)
        what: Any = self.fields["what"]
        what.choices = [(key, label) for key, (label, _receipt, _item, _most) in self.offers.items()]

    def clean_amount(self) -> int | None:
        text = self.cleaned_data["amount"].strip()
        try:
            return to_minor(text, self.order.currency) if text else None
        except ValueError:
            raise forms.ValidationError(_("Enter an amount such as %s.") % "9.90") from None

    def request(self, *, actor: str) -> Refund:
        """Ask for what was entered. Raises DomainError."""
        _label, receipt, item, most = self.offers[self.cleaned_data["what"]]
        amount_minor = self.cleaned_data["amount"]
        return request_refund(
            receipt,
            amount_minor=most if amount_minor is None else amount_minor,
            item=item,
            reason=self.cleaned_data["reason"],
            actor=actor,
            now=db_now(),
        )


def _offers(order: Order) -> dict[str, tuple[str, Receipt, OrderItem | None, int]]:
    """What of an order can go back: label, from which money, with which line, and how much at most."""
    receipts = list(
        Receipt.objects.filter(attempt__payment__order=order)
        .exclude(status=ReceiptStatus.RECORDED)
        .select_related("channel__shop")
        .order_by("pk")
    )
    left = [receipt for receipt in receipts if refundable_minor(receipt)]
    paid = [receipt for receipt in left if receipt.status == ReceiptStatus.APPLIED]
    offers: dict[str, tuple[str, Receipt, OrderItem | None, int]] = {}
    for item in order.items.order_by("pk") if paid else ():
        if item.status in (ItemStatus.OPEN, ItemStatus.DELIVERED):
            receipt = max(paid, key=refundable_minor)
            most = min(item.unit_price_minor * item.quantity, refundable_minor(receipt))
            label = f"{item} · {display(most, order.currency)}"
            offers[f"item:{item.pk}"] = (label, receipt, item, most)
    for receipt in left:
        most = refundable_minor(receipt)
        label = _("money only: %(amount)s of %(number)s") % {
            "amount": display(most, receipt.currency),
            "number": receipt.provider_txn_id,
        }
        offers[f"money:{receipt.pk}"] = (label, receipt, None, most)
    return offers


def refund_form(order: Order) -> RefundForm | None:
    """For the order's page; None where nothing can go back."""
    form = RefundForm(order=order)
    return form if form.offers else None


def refund_view(request: HttpRequest, pk: int) -> HttpResponse:
    """The button of that form. By POST."""
    order = get_object_or_404(within(request, Order.objects.all()), pk=pk)
    form = RefundForm(request.POST, order=order)
    if not request.user.has_perm("payments.add_refund"):
        messages.error(request, _("You may not do that."))
    elif not form.is_valid():
        for errors in form.errors.values():
            messages.error(request, " ".join(str(error) for error in errors))
    else:
        try:
            refund = form.request(actor=request.user.get_username())
            messages.success(
                request,
                _("%s is being refunded.") % display(refund.amount_minor, refund.currency)
                if refund.status != "awaited"
                else _("A second person has to approve this refund now."),
            )
        except DomainError as refused:
            messages.warning(request, str(refused))
    return redirect("admin:orders_order_change", pk)


class WaitingRefundFilter(AttentionFilter):
    waiting = WAITS_FOR_PERSON


@admin.register(Refund)
class RefundAdmin(DealtWithAdmin):
    shop_path = "shop"
    list_display = ["out_refund_no", "order", "amount", "status", "requested_at", "requested_by", "why"]
    list_filter = [WaitingRefundFilter, "status", "shop", "requested_at"]
    list_select_related = ["payment__order"]
    search_fields = ["=out_refund_no", "=payment__order__number", "=receipt__provider_txn_id"]
    fields = [
        "why",
        ("out_refund_no", "status"),
        ("order", "amount"),
        "receipt",
        "item",
        "reason",
        ("requested_by", "requested_at"),
        "approved_by",
        ("sent_at", "ended_at"),
        ("queries", "next_query_at"),
        "last_error",
        ("resolved_at", "resolved_by"),
    ]
    ordering = ["-pk"]
    change_form_outer_before_template = "admin/payments/refund.html"

    @admin.display(description=gettext_lazy("amount"), ordering="amount_minor")
    def amount(self, refund: Refund) -> str:
        return display(refund.amount_minor, refund.currency)

    @admin.display(description=gettext_lazy("order"))
    def order(self, refund: Refund) -> str:
        return refund.payment.order.number if refund.payment else "-"

    @admin.display(description=gettext_lazy("needs attention because"), ordering="attention")
    def why(self, refund: Refund) -> str:
        return in_words(refund.attention) or "-"

    def waits(self, row: Refund) -> bool:
        return row.status == "failed" and row.resolved_at is None

    def resolve(self, request: HttpRequest, row: Refund, *, why: str, what: str) -> None:
        resolve_refund(row, why=why, what=what, actor=request.user.get_username(), now=db_now())
        self.log_change(request, row, f"{in_words(DEALT_WITH)}: {what}")

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        refund = self.get_object(request, object_id) if object_id else None
        if refund and request.user.has_perm("payments.change_refund"):
            extra_context = {**(extra_context or {}), "remedies": remedies_of_refund(refund)}
        return super().changeform_view(request, object_id, form_url, extra_context)
