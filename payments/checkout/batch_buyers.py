"""Who has keys of a batch: a list on a page, and as a file for writing to them, which is noted."""

from typing import Any

from django import forms
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextInputWidget

from cardshop.common.clock import db_now
from cardshop.common.csv_files import csv_file, harmless
from inventory.accesses import note_access, viewer_of
from inventory.models import AccessKind, KeyBatch
from orders.models import DeliveredKey, Order
from payments.checkout.tables import moment, table

LISTED = 100


class ReasonForm(forms.Form):
    """Why somebody does what will be remembered."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=120,
        widget=UnfoldAdminTextInputWidget({"autocomplete": "off"}),
    )


def buyers_page(request: HttpRequest, model_admin: ModelAdmin, batch: KeyBatch) -> HttpResponse:
    """Every key that was handed over, also those that have been replaced since; newest first."""
    slots = DeliveredKey.objects.filter(card_key__batch=batch).select_related("item__order", "card_key")
    page = Paginator(
        slots.defer("card_key__sealed", "card_key__fingerprint").order_by("-pk"), LISTED
    ).get_page(request.GET.get("p"))
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "title": _("Buyers of %(batch)s") % {"batch": batch},
        "batch": batch,
        "reason_form": ReasonForm(),
        "page": page,
        "section": table(
            "",
            [_("order"), _("contact e-mail"), _("key"), _("at"), _("line"), _("replaced")],
            [_row(slot) for slot in page],
        ),
    }
    return render(request, "admin/inventory/buyers.html", context)


def _row(slot: DeliveredKey) -> list[Any]:
    order = slot.item.order
    return [
        format_html(
            '<a href="{}">{}</a>', reverse("admin:orders_order_change", args=[order.pk]), order.number
        ),
        order.contact_email,
        str(slot.card_key),
        moment(slot.delivered_at),
        slot.item.get_status_display(),
        _("yes") if slot.replaced_by_id else "-",
    ]


def buyers_csv(request: HttpRequest, batch: KeyBatch, *, why: str) -> StreamingHttpResponse:
    """E-mail and order number, an order once. Noted before the first byte leaves."""
    orders = _orders_with_keys_of(batch)
    note_access(
        viewer_of(request), AccessKind.BUYERS, batch=batch, count=orders.count(), why=why, now=db_now()
    )
    whom = orders.values_list("number", "contact_email").iterator(1000)
    rows = ((number, harmless(email)) for number, email in whom)
    return csv_file(f"buyers-of-batch-{batch.pk}.csv", [_("order"), _("contact e-mail")], rows)


def _orders_with_keys_of(batch: KeyBatch) -> QuerySet[Order]:
    slots = DeliveredKey.objects.filter(card_key__batch=batch)
    return Order.objects.filter(items__in=slots.values("item")).distinct().order_by("pk")
