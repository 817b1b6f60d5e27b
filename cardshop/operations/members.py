"""Who looks after a shop, and as what: its owners' page, and for all shops the superusers'."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.decorators import action
from unfold.widgets import UnfoldAdminEmailInputWidget

from cardshop.common.clock import db_now
from cardshop.common.errors import DomainError
from cardshop.common.shop_scope import sees_all
from cardshop.operations.inviting import LONGEST_EMAIL, change_role, invite, remove
from cardshop.operations.people import PeopleAdmin
from cardshop.outbox.services import promise
from cardshop.shops.models import Membership, Role
from cardshop.shops.roles import permissions_of


class InviteForm(forms.ModelForm):  # type: ignore[type-arg]
    email = forms.EmailField(
        label=_("E-mail"),
        max_length=LONGEST_EMAIL,
        help_text=_("Who has no account gets one, and a mail with a link to choose a password."),
        widget=UnfoldAdminEmailInputWidget({"autocomplete": "off"}),
    )


@admin.register(Membership)
class MembershipAdmin(PeopleAdmin):
    """Nobody gives a role that may do more than they may themselves, or changes somebody who has one."""

    shop_path = "shop"
    list_display = ["person", "role", "shop", "since", "last_login"]
    list_filter = ["role", "shop"]
    list_select_related = ["user", "shop"]
    search_fields = ["user__email", "user__username"]
    actions = ["invite_again"]

    @admin.display(description=_("person"), ordering="user__email")
    def person(self, membership: Membership) -> str:
        return membership.user.email or membership.user.get_username()

    @admin.display(description=_("last login"), ordering="user__last_login")
    def last_login(self, membership: Membership) -> Any:
        return membership.user.last_login

    def get_fields(self, request: HttpRequest, obj: Membership | None = None) -> list[str]:
        return ["shop", "person", "role", "since", "last_login"] if obj else ["shop", "email", "role"]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        fixed = super().get_readonly_fields(request, obj)
        return [*fixed, "person", "since", "last_login"] if obj else fixed

    def get_form(
        self, request: HttpRequest, obj: Membership | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if obj is None:
            kwargs["form"] = InviteForm
        return super().get_form(request, obj, change, **kwargs)

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "role":
            kwargs["choices"] = [(role, role.label) for role in Role if _may_give(request, role)]
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_change_permission(request, obj) and _may_take(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_delete_permission(request, obj) and _may_take(request, obj)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except DomainError as refused:
            return _said(request, refused)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> Any:
        try:
            return super().delete_view(request, object_id, extra_context)
        except DomainError as refused:
            return _said(request, refused)

    def save_model(self, request: HttpRequest, obj: Membership, form: Any, change: bool) -> None:
        """Raises DomainError, with which the page's transaction ends."""
        said = form.cleaned_data
        if change:
            change_role(obj, Role(said["role"]))
            return
        made = invite(shop=said["shop"], email=said["email"], role=Role(said["role"]), now=db_now())
        obj.pk, obj.user, obj.since = made.pk, made.user, made.since

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        remove(obj)

    def get_actions(self, request: HttpRequest) -> Any:
        """Deleted one by one: each may be the last owner."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    @action(description=_("Mail the invitation again"), permissions=["change"])
    def invite_again(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        now, count = db_now(), 0
        for membership in queryset.select_related("user"):
            if not membership.user.has_usable_password():
                promise("operations.mail_invitation", [membership.pk], shop_id=membership.shop_id, now=now)
                count += 1
        told = ngettext("%(count)d mail is on its way.", "%(count)d mails are on their way.", count)
        messages.add_message(
            request, messages.SUCCESS if count else messages.WARNING, told % {"count": count}
        )


def _may_give(request: HttpRequest, role: Role) -> bool:
    """What is set by hand may be anything, so it is given by those who may set it."""
    if sees_all(request):
        return True
    return role != Role.CUSTOM and permissions_of(role) <= request.user.get_all_permissions()


def _may_take(request: HttpRequest, row: Model | None) -> bool:
    if sees_all(request) or not isinstance(row, Membership):
        return True
    return permissions_of(Role(row.role)) <= request.user.get_all_permissions()


def _said(request: HttpRequest, refused: DomainError) -> HttpResponse:
    messages.error(request, str(refused))
    return redirect(reverse("admin:shops_membership_changelist"))
