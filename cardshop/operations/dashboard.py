"""The admin's first page: how today goes, and what a person has to see to. One query a figure."""

from datetime import datetime
from typing import Any

from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Now
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from cardshop.common.money import display
from cardshop.common.shop_scope import within
from inventory.models import Stock
from orders.models import Order, OrderItem
from orders.services.fulfilling import WAITING
from orders.states import PAID_FOR
from payments.models import Payment, Receipt, Refund
from payments.selectors import WAITS_FOR_PERSON
from payments.states import RefundStatus

LOW_STOCK = 10
_LISTED = 8


def figures(request: HttpRequest) -> dict[str, Any]:
    """What this person may see of it."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    may, cards = request.user.has_perm, []
    if may("orders.view_order"):
        cards += [_orders_today(request, midnight), _orders_waiting(request), _lines_to_fill_in(request)]
    if may("payments.view_payment"):
        cards.insert(1, _revenue_today(request, midnight))
    if may("payments.view_receipt"):
        cards.append(_receipts_waiting(request))
    if may("payments.view_refund"):
        cards.append(_refunds_waiting(request))
    return {"cards": cards, "low_stock": _low_stock(request) if may("inventory.view_stock") else None}


def _orders_today(request: HttpRequest, midnight: datetime) -> dict[str, Any]:
    counted = within(request, Order.objects.filter(placed_at__gte=midnight)).aggregate(
        placed=Count("pk"), paid=Count("pk", filter=Q(status__in=PAID_FOR))
    )
    return {
        "title": _("Orders today"),
        "value": counted["placed"],
        "note": _("%(paid)d of them paid") % {"paid": counted["paid"]},
        "link": reverse("admin:orders_order_changelist"),
    }


def _revenue_today(request: HttpRequest, midnight: datetime) -> dict[str, Any]:
    payments = within(request, Payment.objects.filter(succeeded_at__gte=midnight)).values("currency")
    received = sorted(payments.annotate(total=Sum("amount_minor")).values_list("currency", "total"))
    return {
        "title": _("Received today"),
        "value": " + ".join(display(total, currency) for currency, total in received) or "0",
        "note": _("payments that covered their order"),
        "link": reverse("admin:payments_payment_changelist"),
    }


def _orders_waiting(request: HttpRequest) -> dict[str, Any]:
    count = within(request, Order.objects.exclude(attention="")).count()
    return {
        "title": _("Orders that need you"),
        "value": count,
        "note": _("see why, then act") if count else _("nothing to do"),
        "link": f"{reverse('admin:orders_order_changelist')}?{urlencode({'attention': 'yes'})}",
        "alarm": count > 0,
    }


def _lines_to_fill_in(request: HttpRequest) -> dict[str, Any]:
    counted = within(request, OrderItem.objects.filter(WAITING)).aggregate(
        waiting=Count("pk"), overdue=Count("pk", filter=Q(due_at__lt=Now()))
    )
    return {
        "title": _("To be filled in"),
        "value": counted["waiting"],
        "note": _("%(overdue)d overdue") % counted if counted["overdue"] else _("none is overdue"),
        "link": reverse("admin:orders_orderitem_changelist"),
        "alarm": counted["overdue"] > 0,
    }


def _receipts_waiting(request: HttpRequest) -> dict[str, Any]:
    count = within(request, Receipt.objects.filter(WAITS_FOR_PERSON)).count()
    return {
        "title": _("Money that needs you"),
        "value": count,
        "note": _("late, double, short or unknown") if count else _("nothing to do"),
        "link": f"{reverse('admin:payments_receipt_changelist')}?{urlencode({'attention': 'yes'})}",
        "alarm": count > 0,
    }


def _refunds_waiting(request: HttpRequest) -> dict[str, Any]:
    waiting = Refund.objects.filter(WAITS_FOR_PERSON | Q(status=RefundStatus.AWAITED))
    count = within(request, waiting).count()
    return {
        "title": _("Refunds that need you"),
        "value": count,
        "note": _("to approve, refused, or unknown") if count else _("nothing to do"),
        "link": reverse("admin:attention"),
        "alarm": count > 0,
    }


def _low_stock(request: HttpRequest) -> dict[str, Any]:
    free = F("released") - F("claimed")
    low = (
        within(request, Stock.objects.filter(variant__is_active=True, variant__product__is_listed=True))
        .annotate(free=free)
        .filter(free__lte=LOW_STOCK)
        .select_related("variant__product")
        .order_by("free", "pk")[:_LISTED]
    )
    return {
        "headers": [_("Variant"), _("pool"), _("free")],
        "rows": [[str(stock.variant), stock.pool, stock.free] for stock in low],
    }
