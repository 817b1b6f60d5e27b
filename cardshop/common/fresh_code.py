"""A one-time code, entered a few minutes ago: what somebody at a borrowed or stolen session does not have."""

from typing import Any
from urllib.parse import quote

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from cardshop.common.admin import MerchantAdmin
from cardshop.common.clock import db_now

FRESH = 300  # seconds
_PASSED_AT = "code_passed_at"
# Processes count on from the database's clock each by themselves, some milliseconds apart.
_APART = 1.0


class CodeNeeded(Exception):
    """What was asked for takes a fresh code. Nothing may have been written."""


def note_code(request: HttpRequest) -> None:
    """The session has passed its second factor just now."""
    request.session[_PASSED_AT] = db_now().timestamp()


def has_fresh_code(request: HttpRequest) -> bool:
    passed_at = request.session.get(_PASSED_AT)
    if passed_at is None or not request.user.is_verified():  # type: ignore[union-attr]  # by django-otp
        return False
    return bool(-_APART <= db_now().timestamp() - passed_at < FRESH)


def ask_for_code(request: HttpRequest, *, back_to: str = "") -> HttpResponse:
    """On the way to a form, the page that asks for a code. Where a form was sent, a page that says so.

    `back_to` is the page to be on afterwards, where the address of the request itself cannot be looked at.
    """
    confirm = f"{reverse('admin:confirm')}?next={quote(back_to or request.get_full_path())}"
    if request.method == "GET":
        return redirect(confirm)
    context = {**admin.site.each_context(request), "title": _("Nothing was saved"), "confirm": confirm}
    page = render(request, "admin/code_needed.html", context, status=403)
    page["Cache-Control"] = "no-store"
    return page


class FreshCodeAdmin(MerchantAdmin):
    """Whoever adds, changes or deletes something here has entered a code a few minutes ago.

    They are asked before they see the form: what they type is neither lost nor kept anywhere.
    """

    def needs_code(self, request: HttpRequest) -> bool:
        return not has_fresh_code(request)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        may = self.has_change_permission(request) if object_id else self.has_add_permission(request)
        if may and self.needs_code(request):
            return ask_for_code(request)
        return super().changeform_view(request, object_id, form_url, extra_context)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> Any:
        if self.has_delete_permission(request) and self.needs_code(request):
            return ask_for_code(request)
        return super().delete_view(request, object_id, extra_context)

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **kwargs: Any
    ) -> HttpResponse | None:
        if self.needs_code(request):
            return ask_for_code(request)
        done: HttpResponse | None = super().response_action(request, queryset, *args, **kwargs)
        return done
