"""The merchant's admin: unfold's site behind a password and, where required, a TOTP code."""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, cast

from csp.constants import SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.conf import settings
from django.contrib import admin
from django.contrib.admin import AdminSite
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.db import transaction
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from unfold.sites import UnfoldAdminSite

from cardshop.audit.links import history_link
from cardshop.audit.recording import record
from cardshop.common.audit import Action, Deed, deed_on
from cardshop.common.clock import db_now
from cardshop.common.fresh_code import has_fresh_code
from cardshop.operations.acting_in import choose_shop
from cardshop.operations.dashboard import figures
from cardshop.operations.first_steps import first_steps
from cardshop.operations.operations_page import operations_numbers, operations_page
from cardshop.operations.second_factor import (
    CodeForm,
    confirm_enrolment,
    enter,
    has_device,
    pending_device,
    qr_code,
    refuse,
    safe_next,
    secret_text,
    start_enrolment,
    verify_code,
)
from cardshop.operations.welcome import welcome

private_page = [never_cache, sensitive_post_parameters("code")]


class CardshopAdminSite(UnfoldAdminSite):
    """Nobody passes without what `missing_step` asks for: a code, or a device to make codes with."""

    index_title = gettext_lazy("Today")

    def has_permission(self, request: HttpRequest) -> bool:
        return self.knows_password(request) and missing_step(request) is None

    def knows_password(self, request: HttpRequest) -> bool:
        return bool(AdminSite.has_permission(self, request))

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Callable[..., Any]:
        # Django would let browsers keep the pages of the password.
        guarded: Callable[..., HttpResponse] = super().admin_view(view, cacheable=False)

        @wraps(guarded)
        def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if self.knows_password(request) and (page := missing_step(request)):
                if request.path == reverse("admin:logout"):
                    left: HttpResponse = self.logout(request)
                    return left
                return redirect_to_login(request.get_full_path(), reverse(page))
            response: HttpResponse = guarded(request, *args, **kwargs)
            return with_admin_policy(response)

        return inner

    def write_down(self, request: HttpRequest, deeds: Iterable[Deed]) -> None:
        """What whoever asks does, in the transaction of the deeds. Where `AuditedAdmin` ends, which may know
        of no table.
        """
        address = request.META.get("REMOTE_ADDR") or None
        record(deeds, who=request.user.get_username(), address=address, now=db_now())

    def history_link(self, request: HttpRequest, row: Model) -> str:
        return history_link(request, row)

    def get_urls(self) -> list[URLPattern]:
        return [
            path("code/", self.code_page, name="code"),
            path("confirm/", self.confirm_page, name="confirm"),
            path("enrol/", self.enrol_page, name="enrol"),
            path("shop/", self.admin_view(choose_shop), name="choose_shop"),
            path("welcome/<uidb64>/<token>/", self.welcome_page, name="welcome"),
            path("first-steps/", self.admin_view(first_steps), name="first_steps"),
            path("operations/", self.admin_view(operations_page), name="operations"),
            path("operations/numbers/", self.admin_view(operations_numbers), name="operations_numbers"),
            *super().get_urls(),
        ]

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method == "GET" and self.knows_password(request) and (page := missing_step(request)):
            return redirect_to_login(safe_next(request), reverse(page))
        return with_admin_policy(super().login(request, extra_context))

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """One's own."""
        with transaction.atomic():
            page: HttpResponse = super().password_change(request, extra_context)
            if request.method == "POST" and page.status_code == 302:
                user = cast(User, request.user)
                deed = deed_on(user, Action.CHANGED, shop_id=None, changes=[{"field": "password"}])
                self.write_down(request, [deed])
        return page

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        page: TemplateResponse = super().index(request, {**(extra_context or {}), **figures(request)})
        return page

    @method_decorator(private_page)
    def code_page(self, request: HttpRequest) -> HttpResponse:
        """The second step of logging in, for those who have a device."""
        if not self.knows_password(request):
            return redirect_to_login(safe_next(request), reverse("admin:login"))
        if (step := missing_step(request)) != "admin:code":
            return (
                redirect_to_login(safe_next(request), reverse(step)) if step else redirect(safe_next(request))
            )
        form = CodeForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            device, problem = verify_code(request.user, form.cleaned_data["code"])
            if device:
                enter(request, device)
                return redirect(safe_next(request))
            form.add_error("code", problem)
        return self._private_page(request, "admin/code.html", _("Enter your code"), form=form)

    @method_decorator(private_page)
    def confirm_page(self, request: HttpRequest) -> HttpResponse:
        """A code once more, for what nobody may do in a session that somebody else has left open."""
        if not self.has_permission(request):
            return redirect_to_login(request.get_full_path(), reverse("admin:login"))
        if not has_device(request.user):
            return redirect_to_login(safe_next(request), reverse("admin:enrol"))
        form = CodeForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            device, problem = verify_code(request.user, form.cleaned_data["code"])
            if device:
                enter(request, device)
                return redirect(safe_next(request))
            if refuse(request):
                return redirect_to_login(safe_next(request), reverse("admin:login"))
            form.add_error("code", problem)
        return self._private_page(request, "admin/code.html", _("Is it still you?"), form=form, confirms=True)

    @method_decorator(private_page)
    def enrol_page(self, request: HttpRequest) -> HttpResponse:
        """Sets up a device: the first one after a password alone, another one with a fresh code."""
        if not self.knows_password(request):
            return redirect_to_login(safe_next(request), reverse("admin:login"))
        if missing_step(request) == "admin:code":
            return redirect_to_login(safe_next(request), reverse("admin:code"))
        if has_device(request.user) and not has_fresh_code(request):
            return redirect_to_login(request.get_full_path(), reverse("admin:confirm"))
        form = CodeForm(request.POST or None)
        device = pending_device(request) if request.method == "POST" else None
        if device and form.is_valid():
            with transaction.atomic():
                confirmed, problem = confirm_enrolment(device, form.cleaned_data["code"])
                if confirmed:
                    said = _("Two-step login set up.")
                    self.write_down(request, [deed_on(confirmed.user, Action.DONE, shop_id=None, said=said)])
            if confirmed:
                enter(request, confirmed)
                return redirect(safe_next(request))
            form.add_error("code", problem)
        device = device or start_enrolment(request)
        return self._private_page(
            request,
            "admin/enrol.html",
            _("Set up two-step login"),
            form=form,
            qr_code=qr_code(device),
            secret=secret_text(device),
            replaces=has_device(request.user),
        )

    @method_decorator(never_cache)
    def welcome_page(self, request: HttpRequest, uidb64: str, token: str) -> HttpResponse:
        return with_admin_policy(welcome(request, uidb64, token, self.each_context(request)))

    def _private_page(self, request: HttpRequest, template: str, title: str, **context: Any) -> HttpResponse:
        context = {**self.each_context(request), "title": title, "next": safe_next(request), **context}
        return with_admin_policy(render(request, template, context))


def missing_step(request: HttpRequest) -> str | None:
    """The page that still stands between somebody with a password and the admin; None if none does."""
    if request.user.is_verified():  # type: ignore[union-attr]  # put there by django-otp's middleware
        return None
    if has_device(request.user):
        return "admin:code"
    return "admin:enrol" if settings.ADMIN_TOTP_REQUIRED else None


def with_admin_policy(response: HttpResponse) -> HttpResponse:
    """Loosen the content policy as far as unfold needs it, which no buyer's page does.

    Alpine evaluates its attributes as code, and the theme's colours are an inline style. Scripts
    still come from our own files only, and forms go nowhere else.
    """
    usual = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]
    response._csp_replace = {  # type: ignore[attr-defined]  # read by django-csp's middleware
        "script-src": [*usual["script-src"], UNSAFE_EVAL],
        "style-src": [*usual["style-src"], UNSAFE_INLINE],
        "form-action": [SELF],
    }
    return response


def locked_out(request: HttpRequest, _response: object = None, _credentials: object = None) -> HttpResponse:
    """What axes shows after too many wrong passwords."""
    minutes = round(settings.AXES_COOLOFF_TIME * 60)
    context = {**admin.site.each_context(request), "title": _("Too many attempts"), "minutes": minutes}
    page = render(request, "admin/locked_out.html", context, status=429)
    page["Retry-After"] = str(minutes * 60)
    page["Cache-Control"] = "no-store"
    return with_admin_policy(page)
