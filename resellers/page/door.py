"""Who is let in to a reseller's page, and what every page of it shares.

A member has a cookie that is sent to these pages and nowhere else, one for each language they stand in. Every
form has a token of the session besides, so that nothing which another site sends is taken for theirs.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import update_wrapper
from hmac import compare_digest
from typing import Any, Concatenate, ParamSpec
from urllib.parse import quote

from django.conf import settings
from django.core.cache import cache
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import Resolver404, resolve, reverse
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from cardshop.audit.recording import record
from cardshop.common.audit import Action, deed_on
from cardshop.common.clock import db_now
from cardshop.common.ids import keyed_digest
from cardshop.shops.middleware import shop_of
from cardshop.traffic.actions import count_action
from cardshop.traffic.same_origin import require_same_origin
from resellers.members.errors import FormOver, OwnersOnly, SentBefore
from resellers.members.sessions import form_token, is_fresh, session_of
from resellers.models import MemberRole, MemberSession, Reseller, ResellerMember
from resellers.models.members import LONGEST_PATH

P = ParamSpec("P")
SESSION, BROWSER = "cardshop_reseller", "cardshop_reseller_asked"
HOME = "reseller_account_page"
FORM_LASTS = 24 * 3600  # seconds

# What was done, as the address after it says.
SAID: dict[str, str | Promise] = {
    "revoked": _("It opens nothing any more."),
    "not-followed": _("There is a new key for this one already, or it does not work any more."),
    "paused": _("It is paused: what is promised to it waits."),
    "resumed": _("What has waited for it is being sent."),
    "removed": _("It hears of nothing any more."),
    "again": _("It is being sent again."),
    "not-again": _("It is being sent at this moment, or its webhook is off."),
    "invited": _("They are a member now; a mail tells them where to log in."),
    "let-go": _("They are no member any more, and are logged out everywhere."),
}


class ConfirmFirst(Exception):
    """What was asked for takes a fresh code. Nothing may have been done. `back_to` is a page of ours."""

    def __init__(self, back_to: str) -> None:
        self.back_to = back_to
        super().__init__(back_to)


@dataclass(frozen=True)
class Visit:
    session: MemberSession
    token: str
    now: datetime

    @property
    def member(self) -> ResellerMember:
        return self.session.member

    @property
    def reseller(self) -> Reseller:
        return self.member.reseller

    @property
    def may_manage(self) -> bool:
        return self.member.role == MemberRole.OWNER

    def require_owner(self) -> None:
        """Raises OwnersOnly."""
        if not self.may_manage:
            raise OwnersOnly

    def require_fresh_owner(self, *, back_to: str) -> None:
        """For what costs money or shows secrets. Raises OwnersOnly, ConfirmFirst."""
        self.require_owner()
        if not is_fresh(self.session, self.now):
            raise ConfirmFirst(back_to)


View = Callable[Concatenate[HttpRequest, Visit, P], HttpResponseBase]


def member_page(*methods: str) -> Callable[[View[P]], Callable[..., HttpResponseBase]]:
    """A page for members: looked up anew each time, by the host's shop."""

    def guard(view: View[P]) -> Callable[..., HttpResponseBase]:
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if (visit := visit_of(request)) is None:
                return _outside(request)
            if request.method == "POST":
                _require_own_form(request, visit)
            try:
                return view(request, visit, *args, **kwargs)
            except ConfirmFirst as needed:
                return see_other(f"{reverse('reseller_confirm')}?next={quote(needed.back_to)}")

        return open_page(*methods)(update_wrapper(guarded, view))

    return guard


def open_page(*methods: str) -> Callable[[Callable[..., HttpResponseBase]], Callable[..., HttpResponseBase]]:
    """A page before the door, too. Nothing of it is kept anywhere."""

    def guard(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
        def guarded(request: HttpRequest, /, *args: Any, **kwargs: Any) -> HttpResponseBase:
            require_same_origin(request)
            count_action(request)
            return view(request, *args, **kwargs)

        kept_nowhere = never_cache(require_http_methods(methods)(update_wrapper(guarded, view)))
        return csrf_exempt(kept_nowhere)

    return guard


def visit_of(request: HttpRequest) -> Visit | None:
    token = cookie_of(request, SESSION)
    if not token:
        return None
    now = db_now()
    session = session_of(shop_of(request), token, now=now)
    return Visit(session, token, now) if session else None


def _require_own_form(request: HttpRequest, visit: Visit) -> None:
    """Raises FormOver."""
    if not compare_digest(request.POST.get("form_token", "").encode(), form_token(visit.token).encode()):
        raise FormOver


def _outside(request: HttpRequest) -> HttpResponse:
    """To the log-in; whoever has shown a session that has ended is told so."""
    if not cookie_of(request, SESSION):
        back_to = request.path if request.method == "GET" else ""
        return see_other(f"{reverse('reseller_log_in')}?next={quote(back_to)}")
    context = {"shop": shop_of(request), "has_ended": True, "next": request.path}
    response = render(request, "resellers/log_in.html", context, status=403)
    take_cookie(response, SESSION)
    return response


def show(
    request: HttpRequest, visit: Visit, template: str, context: Mapping[str, Any], *, status: int = 200
) -> HttpResponse:
    said = SAID.get(request.GET.get("done", ""), "") if request.method == "GET" else ""
    shared = {
        "shop": shop_of(request),
        "visit": visit,
        "reseller": visit.reseller,
        "form_token": form_token(visit.token),
        "said": said,
    }
    return render(request, template, {**shared, **context}, status=status)


def see_other(address: str) -> HttpResponse:
    response = redirect(address)
    response.status_code = 303
    return response


def done(address: str, what: str) -> HttpResponse:
    return see_other(f"{address}?done={what}")


def note(request: HttpRequest, visit: Visit, row: Model, action: Action, said: str) -> None:
    """In the caller's transaction, which is that of the deed."""
    deed = deed_on(row, action, shop_id=visit.reseller.shop_id, said=said)
    address = request.META.get("REMOTE_ADDR") or None
    record([deed], who=visit.member.acts_as, address=address, now=visit.now)


# Forms that show a secret at their end: sent twice they would make another one.


def new_form() -> str:
    return secrets.token_urlsafe(16)


def require_first(visit: Visit, form: str) -> None:
    """Raises SentBefore. Where Redis does not answer it is taken for the first."""
    sent = keyed_digest("reseller-form-id", str(visit.member.pk), form)
    if cache.add(f"reseller-form:{sent}", 1, timeout=FORM_LASTS) is False:
        raise SentBefore


# Where one may be led


def page_of_ours(path: str) -> str:
    """The path, if it is one of these pages, and one that can be looked at; otherwise the first of them."""
    try:
        is_ours = len(path) <= LONGEST_PATH and getattr(resolve(path).func, "leads_here", False)
    except Resolver404:
        is_ours = False
    return path if is_ours else reverse(HOME)


def leads_here(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Whoever logs in may be led to this page."""
    view.leads_here = True  # type: ignore[attr-defined]
    return view


# Cookies: one for each language's addresses, so that none is sent to buyers' pages.


def cookie_of(request: HttpRequest, name: str) -> str:
    return request.COOKIES.get(f"{name}_{get_language()}", "")


def give_cookie(response: HttpResponse, name: str, value: str, *, seconds: int | None = None) -> None:
    """Without `seconds` it ends with the browser."""
    for language, path in _paths():
        response.set_cookie(
            f"{name}_{language}",
            value,
            max_age=seconds,
            path=path,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )


def take_cookie(response: HttpResponse, name: str) -> None:
    for language, path in _paths():
        response.delete_cookie(f"{name}_{language}", path=path, samesite="Lax")


def _paths() -> list[tuple[str, str]]:
    found = []
    for language, _name in settings.LANGUAGES:
        with translation.override(language):
            found.append((language, reverse(HOME)))
    return found
