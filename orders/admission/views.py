"""The line page: where one stands, kept up to date by script or by reloading. Who has the link may leave."""

import re
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from cardshop.common.clock import db_now
from cardshop.common.errors import DomainError
from cardshop.shops.middleware import shop_of
from cardshop.traffic.same_origin import same_origin
from inventory.errors import OutOfStock
from inventory.models import Variant
from orders.admission.answers import ticket_path
from orders.admission.display import sale_state
from orders.admission.entering import retry_after
from orders.admission.gate import Standing
from orders.admission.joining import give_up, standing_of
from orders.errors import (
    LimitReached,
    LineFull,
    NotForSale,
    SaleEnded,
    SoldOut,
    TooManyTickets,
    TooManyUnpaid,
    UnknownTicket,
)

_TICKET_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)
_UNKNOWN, _UNAVAILABLE = "unknown", "unavailable"
# The sentence for each reason that a ticket may be refused for.
REASONS: dict[str, str | Promise] = {
    **{
        error.code: error.message
        for error in (LineFull, SoldOut, OutOfStock, LimitReached, TooManyUnpaid, SaleEnded, TooManyTickets)
    },
    NotForSale.code: _("It was taken off sale."),
    "wrong_quantity": _("So many can no longer be ordered at once."),
}


@never_cache
@require_safe
def line(request: HttpRequest, code: str, ticket_id: str) -> HttpResponse:
    """How the ticket stands; once it has become an order, that order."""
    variant = _variant(request, code, ticket_id)
    try:
        standing = standing_of(variant, ticket_id)
    except UnknownTicket as unknown:
        return _page(request, variant, ticket_id, Standing(_UNKNOWN), refusal=unknown)
    except DomainError as refusal:
        return _page(request, variant, ticket_id, Standing(_UNAVAILABLE), refusal=refusal)
    return _page(request, variant, ticket_id, standing)


@never_cache
@same_origin
@require_http_methods(["GET", "HEAD", "POST"])
def leave(request: HttpRequest, code: str, ticket_id: str) -> HttpResponse:
    """Give the place up. Whoever comes by GET finds the line page."""
    variant = _variant(request, code, ticket_id)
    if request.method == "POST":
        try:
            standing = give_up(variant, ticket_id, now=db_now())
        except DomainError:
            pass  # the line page says what is the matter
        else:
            return _page(request, variant, ticket_id, standing)
    response = redirect("line", code=code, ticket_id=ticket_id)
    response.status_code = 303
    return response


def _variant(request: HttpRequest, code: str, ticket_id: str) -> Variant:
    """Also one that is not for sale any more: who waits for it must be told."""
    if _TICKET_ID.fullmatch(ticket_id):
        variants = Variant.objects.select_related("product").filter(shop=shop_of(request), code=code)
        if variant := variants.first():
            return variant
    raise UnknownTicket


def _page(
    request: HttpRequest,
    variant: Variant,
    ticket_id: str,
    standing: Standing,
    *,
    refusal: DomainError | None = None,
) -> HttpResponse:
    if standing.order_token:
        to_order = redirect("order", token=standing.order_token)
        to_order.status_code = 303
        return to_order
    again = refusal.retry_after if refusal else retry_after(standing)
    context: dict[str, Any] = {
        "shop": shop_of(request),
        "variant": variant,
        "ticket_id": ticket_id,
        "standing": standing,
        "place": standing.ahead + 1,
        "sale": sale_state(variant, db_now()),
        "reasons": REASONS,
        "again": again or 0,
        "api": ticket_path(variant.code, ticket_id),
        "refusal": refusal,
    }
    response = render(request, "orders/line.html", context, status=refusal.http_status if refusal else 200)
    if again:
        response["Retry-After"] = str(again)
    return response
