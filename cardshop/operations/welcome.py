"""The first password of somebody who was invited: Django's page for a forgotten one."""

from collections.abc import Callable
from typing import Any, cast

from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.models import User
from django.contrib.auth.views import PasswordResetConfirmView
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from unfold.widgets import UnfoldAdminPasswordWidget

from cardshop.audit.recording import record
from cardshop.common.audit import Action, deed_on
from cardshop.common.clock import db_now


class FirstPasswordForm(SetPasswordForm):  # type: ignore[type-arg]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget = UnfoldAdminPasswordWidget({"autocomplete": "new-password"})


class FirstPasswordView(PasswordResetConfirmView):
    def form_valid(self, form: Any) -> HttpResponse:
        with transaction.atomic():
            page: HttpResponse = super().form_valid(form)
            user = cast(User, self.user)
            deed = deed_on(user, Action.CHANGED, shop_id=None, changes=[{"field": "password"}])
            address = self.request.META.get("REMOTE_ADDR") or None
            record([deed], who=user.get_username(), address=address, now=db_now())
        return page


def welcome(request: HttpRequest, uidb64: str, token: str, context: dict[str, Any]) -> HttpResponse:
    view: Callable[..., Any] = FirstPasswordView.as_view(
        template_name="admin/welcome.html",
        title=_("Choose a password"),
        form_class=FirstPasswordForm,
        success_url=reverse("admin:index"),
        extra_context=context,
    )
    page: HttpResponse = view(request, uidb64=uidb64, token=token)
    return page
