"""The buy page: mints a pass, takes the click."""

import secrets
from dataclasses import dataclass
from typing import Any

from django.db.models import prefetch_related_objects
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from cardshop.common.clock import db_now
from cardshop.common.errors import DomainError
from cardshop.shops.middleware import shop_of
from cardshop.shops.models import Shop
from cardshop.traffic.actions import counted
from cardshop.traffic.display_cache import AtHand
from cardshop.traffic.passes import BadPass, mint_pass, read_pass
from cardshop.traffic.same_origin import same_origin
from inventory.models import BuyerField, Variant
from inventory.selectors import available_counts, buyer_fields, variant_for_sale
from inventory.shown_stock import most_orderable, shown_stock
from inventory.windows import window_of
from orders.admission.display import OPEN, sale_and_stand, state_at
from orders.admission.joining import join
from orders.admission.line import Stand
from orders.answers import PREFIX
from orders.errors import NotForSale
from orders.inputs import BuyInput, with_answers
from orders.models import Sale


@dataclass(frozen=True)
class Offer:
    """A variant for sale, what its buyers are asked, and what there is of it: not for buyers' eyes, who see a
    ShownStock.
    """

    variant: Variant
    asked: list[BuyerField]
    available: int | None  # None is unlimited
    sale: tuple[Sale, Stand] | None  # where it sells through the line


# The page itself is another for each buyer, since it carries a pass. What it tells is the same for all.
_offers = AtHand()


@never_cache
@same_origin
@counted
@require_http_methods(["GET", "POST"])
def buy(request: HttpRequest, code: str) -> HttpResponse:
    """GET shows the form with a fresh pass; POST turns it into an order or a place in line, once."""
    shop = shop_of(request)
    if request.method == "POST":
        variant = variant_for_sale(shop, code)
        if variant is None:
            raise NotForSale
        return _take(request, variant)
    offer = _offers.get((shop.pk, code), lambda: _offer(shop, code))
    if offer is None:
        raise NotForSale
    return _form(request, offer)


def _offer(shop: Shop, code: str) -> Offer | None:
    variant = variant_for_sale(shop, code)
    return _offer_of(variant) if variant else None


def _offer_of(variant: Variant) -> Offer:
    prefetch_related_objects([variant.product], "images")
    return Offer(
        variant,
        asked=buyer_fields([variant])[variant.pk],
        available=available_counts([variant])[variant.pk],
        sale=sale_and_stand(variant),
    )


def _form(
    request: HttpRequest,
    offer: Offer,
    *,
    entered: dict[str, Any] | None = None,
    errors: dict[str, list[str]] | None = None,
    refusal: DomainError | None = None,
    status: int = 200,
) -> HttpResponse:
    """The form, with what was entered still in it. An altered or old pass is replaced."""
    entered, now = entered or {}, db_now()
    renew = not entered.get("pass") or isinstance(refusal, BadPass)
    variant = offer.variant
    sale = state_at(now, *offer.sale) if offer.sale else None
    window, stock = window_of(variant, now), shown_stock(variant, offer.available)
    short = stock.is_sold_out and not (window and window.is_to_come)
    context = {
        "shop": variant.shop,
        "variant": variant,
        "stock": stock,
        "sale": sale,
        "window": window,
        "is_shut": window is not None and not window.shows_form,
        "sold_out": not sale.takes_clicks if sale else short,
        "shows_stock": not stock.is_sold_out and (sale is None or sale.phase == OPEN),
        # Through the line one may also wait for what is not there, and before the opening more may come.
        "most": variant.max_quantity
        if sale or stock.is_sold_out
        else most_orderable(variant, offer.available),
        "pass": mint_pass(variant_code=variant.code, now=now) if renew else entered["pass"],
        "idempotency_key": secrets.token_urlsafe(16) if renew else entered.get("idempotency_key"),
        "quantity": entered.get("quantity", variant.min_quantity),
        "contact_email": entered.get("contact_email", ""),
        "questions": _questions(offer.asked, entered, errors or {}),
        "errors": errors or {},
        "refusal": refusal,
        "existing_token": getattr(refusal, "order_token", ""),
    }
    response = render(request, "orders/buy.html", context, status=status)
    if refusal and refusal.retry_after is not None:
        response["Retry-After"] = str(refusal.retry_after)
    return response


def _questions(
    asked: list[BuyerField], entered: dict[str, Any], errors: dict[str, list[str]]
) -> list[dict[str, Any]]:
    """As the form shows them, with what was entered."""
    named = [(field, f"{PREFIX}{field.pk}") for field in asked]
    return [
        {"field": field, "name": name, "value": entered.get(name, ""), "errors": errors.get(name, [])}
        for field, name in named
    ]


def _take(request: HttpRequest, variant: Variant) -> HttpResponse:
    entered = request.POST.dict()
    wanted = BuyInput(data=with_answers(entered))
    if not wanted.is_valid():
        return _form(request, _offer_of(variant), entered=entered, errors=wanted.errors, status=400)
    now = db_now()
    try:
        ticket_id, standing = join(
            shop=variant.shop,
            variant_code=variant.code,
            quantity=wanted.validated_data["quantity"],
            contact_email=wanted.validated_data["contact_email"],
            buyer=read_pass(wanted.validated_data["pass"], variant_code=variant.code, now=now),
            idempotency_key=wanted.validated_data["idempotency_key"],
            language=get_language() or "",
            address=request.META["REMOTE_ADDR"],
            answers=wanted.validated_data["answers"],
            now=now,
        )
    except DomainError as refusal:
        return _form(
            request,
            _offer_of(variant),
            entered=entered,
            errors=refusal.fields(),
            refusal=refusal,
            status=refusal.http_status,
        )
    if standing.order_token:
        response = redirect("order", token=standing.order_token)
    else:
        response = redirect("line", code=variant.code, ticket_id=ticket_id)
    response.status_code = 303
    return response
