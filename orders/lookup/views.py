"""Where one finds an order again: what this browser remembers, by number, by mail."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe
from rest_framework import serializers

from cardshop.common.clock import db_now
from cardshop.common.errors import DomainError
from cardshop.shops.middleware import shop_of
from cardshop.traffic.actions import counted
from cardshop.traffic.same_origin import View, same_origin
from orders.lookup.finding import token_by_link, token_by_number
from orders.lookup.inputs import MailLookupInput, NumberLookupInput
from orders.lookup.limits import count_mail, count_number
from orders.lookup.links import VALID_FOR
from orders.lookup.mailing import RECENT, ask_for_links

BY_NUMBER, BY_MAIL = "number", "mail"


def lookup_page(view: Callable[[HttpRequest], HttpResponse]) -> View[[]]:
    """A form of the page, by POST. Whoever comes by GET finds the page."""

    def act(request: HttpRequest) -> HttpResponse:
        return view(request) if request.method == "POST" else _page(request)

    return never_cache(same_origin(counted(require_http_methods(["GET", "HEAD", "POST"])(act))))


@lookup_page
def lookup(request: HttpRequest) -> HttpResponse:
    """By number, with the e-mail or the password: to the order."""
    return _answer(request, BY_NUMBER, NumberLookupInput, _open_by_number)


@lookup_page
def lookup_by_mail(request: HttpRequest) -> HttpResponse:
    """By e-mail alone: its links are mailed there."""
    return _answer(request, BY_MAIL, MailLookupInput, _ask_for_links)


@never_cache
@require_safe
def lookup_link(request: HttpRequest, link: str, number: str) -> HttpResponse:
    """A link of such a mail: on to the order, which is all it can lead to."""
    try:
        token = token_by_link(shop_of(request), number, link, now=db_now())
    except DomainError as refusal:
        return _page(request, BY_MAIL, refusal=refusal)
    return redirect("order", token=token)


def _open_by_number(request: HttpRequest, wanted: dict[str, Any]) -> str:
    count_number(request, wanted["number"])
    return reverse("order", args=[token_by_number(shop_of(request), **wanted)])


def _ask_for_links(request: HttpRequest, wanted: dict[str, Any]) -> str:
    contact = wanted["contact_email"]
    count_mail(request, contact)
    ask_for_links(shop_of(request), contact, language=get_language() or "", now=db_now())
    return reverse("lookup") + "?mailed#by-mail"


def _answer(
    request: HttpRequest,
    form: str,
    fields: type[serializers.Serializer[Any]],
    act: Callable[[HttpRequest, dict[str, Any]], str],
) -> HttpResponse:
    """On to where `act` leads, or the page with what is wrong."""
    wanted = fields(data=request.POST.dict())
    if not wanted.is_valid():
        return _page(request, form, errors=wanted.errors)
    try:
        response = redirect(act(request, wanted.validated_data))
    except DomainError as refusal:
        return _page(request, form, refusal=refusal)
    response.status_code = 303
    return response


def _page(
    request: HttpRequest,
    form: str = "",
    *,
    refusal: DomainError | None = None,
    errors: dict[str, list[str]] | None = None,
) -> HttpResponse:
    """The page; what was entered into `form` still stands there, but for the password."""
    context = {
        "shop": shop_of(request),
        "form": form,
        "entered": request.POST,
        "errors": errors or {},
        "refusal": refusal,
        "was_mailed": "mailed" in request.GET,
        "days": RECENT.days,
        "minutes": VALID_FOR.seconds // 60,
    }
    status = 400 if errors else refusal.http_status if refusal else 200
    response = render(request, "orders/lookup.html", context, status=status)
    if refusal and refusal.retry_after is not None:
        response["Retry-After"] = str(refusal.retry_after)
    return response
