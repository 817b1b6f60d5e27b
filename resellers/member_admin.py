"""The merchant's page of the people of resellers. Who adds one lets them spend a balance: it takes a code."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from cardshop.common.clock import db_now
from cardshop.common.fresh_code import FreshCodeAdmin
from resellers.members.errors import TooManyMembers
from resellers.members.joining import add_member, is_full, remove_member
from resellers.models import ResellerMember


class MemberForm(forms.ModelForm):  # type: ignore[type-arg]
    def clean_email(self) -> str:
        return str(self.cleaned_data["email"]).lower()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        reseller = cleaned.get("reseller")
        if reseller is not None and is_full(reseller):
            self.add_error("reseller", str(TooManyMembers.message))
        return cleaned


@admin.register(ResellerMember)
class ResellerMemberAdmin(FreshCodeAdmin):
    """Added with a mail that says where to log in; removed with all their sessions."""

    shop_path = "reseller__shop"
    form = MemberForm
    list_display = ["email", "name", "reseller", "role", "since"]
    list_filter = ["role", "reseller"]
    list_select_related = ["reseller"]
    search_fields = ["email", "name", "reseller__name"]
    fields = ["reseller", ("email", "name"), "role", "since"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Who it is, and of whom, is never changed: another person is another member."""
        return ["since", "reseller", "email"] if obj else ["since"]

    def save_model(self, request: HttpRequest, obj: ResellerMember, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        added = add_member(obj.reseller, email=obj.email, name=obj.name, role=obj.role, now=db_now())
        obj.pk, obj.since = added.pk, added.since
        obj._state.adding = False

    def delete_model(self, request: HttpRequest, obj: ResellerMember) -> None:
        remove_member(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[ResellerMember]) -> None:
        for member in queryset.order_by("pk"):
            remove_member(member)
