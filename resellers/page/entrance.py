"""In by a code that is mailed, out again, and a fresh code in between."""

from typing import Any

from django import forms
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import get_language

from cardshop.common.clock import db_now
from cardshop.common.errors import DomainError
from cardshop.shops.middleware import shop_of
from resellers.members import limits
from resellers.members.codes import is_code, readable
from resellers.members.errors import CodeOver
from resellers.members.logging_in import VALID_FOR, ask_to_log_in, log_in
from resellers.members.sessions import end, end_all
from resellers.page.door import (
    BROWSER,
    SESSION,
    Visit,
    cookie_of,
    give_cookie,
    member_page,
    open_page,
    page_of_ours,
    see_other,
    show,
    take_cookie,
)


class LogInForm(forms.Form):
    email = forms.EmailField(max_length=254)


@open_page("GET", "HEAD", "POST")
def log_in_page(request: HttpRequest) -> HttpResponse:
    """The same answer for every address, known here or not."""
    if request.method != "POST":
        return _before_the_door(request, "resellers/log_in.html", {"next": request.GET.get("next", "")})
    said = {"entered": request.POST.get("email", ""), "next": request.POST.get("next", "")}
    form = LogInForm(request.POST)
    if not form.is_valid():
        wrong = {"error": form.errors["email"][0]}
        return _before_the_door(request, "resellers/log_in.html", {**said, **wrong}, status=400)
    email = form.cleaned_data["email"]
    try:
        limits.count_log_in(request, email)
    except DomainError as refusal:
        return _before_the_door(request, "resellers/log_in.html", said, refusal=refusal)
    return _mail_a_code(request, email, page_of_ours(said["next"]))


@member_page("GET", "HEAD", "POST")
def confirm(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Before what costs money or shows secrets: a code of the last minutes."""
    if request.method != "POST":
        return show(request, visit, "resellers/confirm.html", {"next": request.GET.get("next", "")})
    limits.count_confirmation(visit.member)
    return _mail_a_code(request, visit.member.email, page_of_ours(request.POST.get("next", "")))


def _mail_a_code(request: HttpRequest, email: str, leads_to: str) -> HttpResponse:
    browser = ask_to_log_in(
        shop_of(request), email, language=get_language() or "", leads_to=leads_to, now=db_now()
    )
    response = see_other(reverse("reseller_enter"))
    give_cookie(response, BROWSER, browser, seconds=int(VALID_FOR.total_seconds()))
    return response


@open_page("GET", "HEAD", "POST")
def enter(request: HttpRequest) -> HttpResponse:
    """Where the code is typed in; the link of the mail comes here, too."""
    browser = cookie_of(request, BROWSER)
    if request.method != "POST":
        return _before_the_door(request, "resellers/enter.html", {"has_asked": bool(browser)})
    try:
        limits.count_code(request, browser)
        _member, token, leads_to = log_in(
            shop_of(request),
            browser=browser,
            code=request.POST.get("code", ""),
            address=request.META.get("REMOTE_ADDR") or None,
            now=db_now(),
        )
    except DomainError as refusal:
        return _before_the_door(
            request, "resellers/enter.html", {"has_asked": bool(browser)}, refusal=refusal
        )
    end(cookie_of(request, SESSION))  # whoever was in here before, and also who only confirms
    response = see_other(page_of_ours(leads_to))
    give_cookie(response, SESSION, token)
    take_cookie(response, BROWSER)
    return response


@open_page("GET", "HEAD")
def link(request: HttpRequest, code: str) -> HttpResponse:
    """Opened in a mail. It takes a press to be let in: scanners of mail open links as well."""
    has_asked = bool(cookie_of(request, BROWSER))
    if not is_code(code):
        return _before_the_door(request, "resellers/enter.html", {"has_asked": has_asked}, refusal=CodeOver())
    context = {"code": readable(code), "has_asked": has_asked}
    return _before_the_door(request, "resellers/link.html", context)


@member_page("POST")
def log_out(request: HttpRequest, visit: Visit) -> HttpResponse:
    if "everywhere" in request.POST:
        with transaction.atomic(durable=True):
            end_all(visit.member)
    else:
        end(visit.token)
    response = see_other(reverse("reseller_log_in"))
    take_cookie(response, SESSION)
    return response


def _before_the_door(
    request: HttpRequest,
    template: str,
    context: dict[str, Any],
    *,
    refusal: DomainError | None = None,
    status: int = 200,
) -> HttpResponse:
    shared = {"shop": shop_of(request), "refusal": refusal, "minutes": VALID_FOR.seconds // 60}
    response = render(
        request, template, {**shared, **context}, status=refusal.http_status if refusal else status
    )
    if refusal and refusal.retry_after is not None:
        response["Retry-After"] = str(refusal.retry_after)
    return response
