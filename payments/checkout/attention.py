"""What needs a person, on one page, each with its proposed remedy on a button."""

from functools import partial

from django.contrib import admin, messages
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from cardshop.common.clock import db_now
from cardshop.common.errors import DomainError
from cardshop.common.shop_scope import within
from inventory.models import KeyRequest
from orders.models import Order
from orders.services.fulfilling import OVERDUE
from payments.checkout.reasons import in_words
from payments.checkout.remedies import (
    Remedy,
    Waiting,
    remedies_of_order,
    remedies_of_recall,
    remedies_of_receipt,
    remedies_of_refund,
    waiting,
)
from payments.models import KeyRecall, Receipt, Refund, Statement

# Model by the name in the address, with what one must be allowed to see it, and to press its buttons.
KINDS: dict[str, tuple[type[Model], str, str]] = {
    "order": (Order, "orders.view_order", "orders.change_order"),
    "receipt": (Receipt, "payments.view_receipt", "payments.add_refund"),
    "refund": (Refund, "payments.view_refund", "payments.change_refund"),
    "keyrequest": (KeyRequest, "inventory.view_keyrequest", "inventory.view_keyrequest"),
    "keyrecall": (KeyRecall, "payments.view_keyrecall", "payments.change_refund"),
    "statement": (Statement, "payments.view_statement", "payments.change_statement"),
}


def attention_view(request: HttpRequest) -> HttpResponse:
    """Everything that waits, of what this person may see."""
    rows = []
    for each in waiting(partial(within, request)):
        kind = each.row._meta.model_name
        _model, to_see, to_act = KINDS[kind]
        if not request.user.has_perm(to_see):
            continue
        rows.append(
            {
                "kind": kind,
                "pk": each.row.pk,
                "noun": each.row._meta.verbose_name,
                "title": each.title,
                "since": each.since,
                "why": each.why,
                "why_in_words": in_words(each.why),
                "link": _page_of(each),
                "remedies": each.remedies if request.user.has_perm(to_act) else [],
            }
        )
    context = {**admin.site.each_context(request), "title": _("What needs you"), "rows": rows}
    return render(request, "admin/payments/attention.html", context)


def _page_of(each: Waiting) -> str:
    if each.why == OVERDUE:
        return reverse("admin:orders_orderitem_fill_in", args=[each.row.pk])
    return reverse(f"admin:{each.row._meta.app_label}_{each.row._meta.model_name}_change", args=[each.row.pk])


def remedy_view(request: HttpRequest, kind: str, pk: int, remedy: str) -> HttpResponse:
    """A button of that page, or of the row's own. By POST."""
    model, _to_see, to_act = KINDS.get(kind, (Order, "", ""))
    row = get_object_or_404(within(request, model._default_manager.all()), pk=pk)
    chosen = next((each for each in _remedies_of(row) if each.kind == remedy), None)
    if not to_act or not request.user.has_perm(to_act):
        messages.error(request, _("You may not do that."))
    elif chosen is None:
        messages.warning(request, _("There is nothing to do: somebody has dealt with it meanwhile."))
    else:
        try:
            chosen.act(actor=request.user.get_username(), now=db_now())
            messages.success(request, _("Done: %s") % chosen.label)
        except DomainError as refused:
            messages.warning(request, str(refused))
    return redirect("admin:attention")


def _remedies_of(row: Model) -> list[Remedy]:
    if isinstance(row, Order):
        return remedies_of_order(row)
    if isinstance(row, Receipt):
        return remedies_of_receipt(row)
    if isinstance(row, KeyRecall):
        return remedies_of_recall(row)
    return remedies_of_refund(row) if isinstance(row, Refund) else []
