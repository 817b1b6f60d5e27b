"""The first password of somebody who was invited: Django's page for a forgotten one."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.views import PasswordResetConfirmView
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from unfold.widgets import UnfoldAdminPasswordWidget


class FirstPasswordForm(SetPasswordForm):  # type: ignore[type-arg]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget = UnfoldAdminPasswordWidget({"autocomplete": "new-password"})


def welcome(request: HttpRequest, uidb64: str, token: str, context: dict[str, Any]) -> HttpResponse:
    view: Callable[..., Any] = PasswordResetConfirmView.as_view(
        template_name="admin/welcome.html",
        title=_("Choose a password"),
        form_class=FirstPasswordForm,
        success_url=reverse("admin:index"),
        extra_context=context,
    )
    page: HttpResponse = view(request, uidb64=uidb64, token=token)
    return page
