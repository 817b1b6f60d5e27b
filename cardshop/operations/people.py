"""Who may enter: users, groups and their second factors, for superusers alone."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest, HttpResponse
from django.utils.translation import ngettext
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from cardshop.common.fresh_code import FreshCodeAdmin, ask_for_code
from cardshop.common.shop_scope import OPERATORS
from cardshop.operations.second_factor import has_device


class PeopleAdmin(FreshCodeAdmin):
    """Whoever has codes needs a fresh one: a new account would be a way around all other codes."""

    def needs_code(self, request: HttpRequest) -> bool:
        return has_device(request.user) and super().needs_code(request)


class SuperusersOnly(PeopleAdmin):
    """Whoever may edit users could make themselves a superuser; so only those who are one may."""

    shop_path = OPERATORS


class PersonAdmin(SuperusersOnly, UserAdmin):  # type: ignore[type-arg]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    add_fieldsets = UserAdmin.add_fieldsets  # which unfold's own, of no fields, would hide

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        if self.needs_code(request):
            return ask_for_code(request)
        person = self.get_object(request, unquote(id))
        if request.method != "POST" or person is None:
            return self._password_page(request, id, form_url)
        with self.noting(request, User.objects.filter(pk=person.pk)):
            return self._password_page(request, id, form_url)

    def _password_page(self, request: HttpRequest, pk: str, form_url: str) -> HttpResponse:
        page: HttpResponse = super().user_change_password(request, pk, form_url)
        return page

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Whoever has done something stays: what they did is told under their name, and goes with it."""
        if count := LogEntry.objects.filter(user__in=objs).count():
            entries = ngettext("%(count)d entry of a history", "%(count)d entries of histories", count)
            return [], {}, set(), [entries % {"count": count}]
        return super().get_deleted_objects(objs, request)


class RoleAdmin(SuperusersOnly, GroupAdmin):
    pass


class SecondFactorAdmin(SuperusersOnly):
    """A lost phone: delete its row here, and its owner sets up another one. Secrets are not shown."""

    list_display = ["user", "confirmed", "created_at", "last_used_at"]
    list_select_related = ["user"]
    fields = ["user", "confirmed", "created_at", "last_used_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def register_people() -> None:
    """Put our pages in the place of those that came with the packages."""
    pages = {User: PersonAdmin, Group: RoleAdmin, TOTPDevice: SecondFactorAdmin}
    for model, page in pages.items():
        if admin.site.is_registered(model):
            admin.site.unregister(model)
        admin.site.register(model, page)
