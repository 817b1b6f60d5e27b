"""Orders, and their card keys after a press that is noted."""

from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from cardshop.common.audit import Action
from orders.states import ItemStatus, OrderStatus
from resellers.models import AskedStatus, ResellerOrder
from resellers.orders.told import order_called, orders_of, told_all, told_with_keys
from resellers.page.door import Visit, leads_here, member_page, note, show
from resellers.page.paging import page_of

STATUSES = {**dict(OrderStatus.choices), **dict(AskedStatus.choices)}
LINES = dict(ItemStatus.choices)


@leads_here
@member_page("GET", "HEAD")
def orders(request: HttpRequest, visit: Visit) -> HttpResponse:
    """All of them, or those that the reseller calls so."""
    mine, reference = orders_of(visit.reseller), request.GET.get("reference", "").strip()[:64]
    if "\0" in reference:
        reference = ""
    if reference:
        mine = mine.filter(reference=reference)
    page = page_of(request, mine)
    context = {
        "section": "orders",
        "page": page,
        "reference": reference,
        "orders": [_in_words(said) for said in told_all(page.rows)],
    }
    return show(request, visit, "resellers/orders.html", context)


@leads_here
@member_page("GET", "HEAD")
def order(request: HttpRequest, visit: Visit, number: str) -> HttpResponse:
    one = order_called(visit.reseller, number)
    return _page(request, visit, one, told_all([one])[0], shows_keys=False)


@member_page("POST")
@sensitive_variables()
def order_keys(request: HttpRequest, visit: Visit, number: str) -> HttpResponse:
    """Noted before anything is shown."""
    visit.require_fresh_owner(back_to=reverse("reseller_order_page", args=[number]))
    one = order_called(visit.reseller, number)
    with transaction.atomic(durable=True):
        note(request, visit, one, Action.DONE, _("Its card keys were shown."))
    return _page(request, visit, one, told_with_keys(one), shows_keys=True)


def _page(
    request: HttpRequest, visit: Visit, one: ResellerOrder, said: dict[str, Any], *, shows_keys: bool
) -> HttpResponse:
    context = {
        "section": "orders",
        "order": _in_words(said),
        "asked_for": one.lines,
        "shows_keys": shows_keys,
        "has_keys": one.order is not None and one.order.delivered_at is not None,
    }
    return show(request, visit, "resellers/order.html", context)


def _in_words(said: dict[str, Any]) -> dict[str, Any]:
    """`clear` are its card keys: `keys` of a dict is something else to a template."""
    lines = [
        {**line, "standing": LINES.get(line["status"], line["status"]), "clear": line.get("keys", [])}
        for line in said["lines"]
    ]
    return {**said, "standing": STATUSES.get(said["status"], said["status"]), "lines": lines}
