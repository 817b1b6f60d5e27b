"""The merchant's page of a shop. It is here, since what is changed there is told as with the ways to pay."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import CHANGE
from django.db import models
from django.http import HttpRequest

from cardshop.common.shop_scope import sees_all
from cardshop.shops.models import Shop
from payments.admin_changes import ToldAdmin
from payments.shop_form import ShopForm

_CONTACT = Shop._meta.get_field("contact_email").verbose_name


@admin.register(Shop)
class ShopAdmin(ToldAdmin):
    shop_path = "pk"
    form = ShopForm
    list_display = ["name", "host", "currency", "is_open"]
    search_fields = ["name", "name_en", "slug", "host"]
    ordering = ["pk"]
    fields = [
        ("name", "name_en"),
        "slug",
        "host",
        "currency",
        "contact_email",
        "mail_plain_keys",
        "refunds_need_two",
        "key_export_needs_two",
        "is_open",
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> Any:
        """Which names lead to which shop is for who runs the installation to say."""
        fields = super().get_readonly_fields(request, obj)
        return fields if sees_all(request) else [*fields, "slug", "host"]

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False  # everything hangs on it; close it instead

    def log_change(self, request: HttpRequest, obj: Shop, message: Any) -> Any:
        """Told to the former address too: whoever takes the shop over would name their own first."""
        former = next((str(one.before or "") for one in message if one.label == _CONTACT), "")
        return self.record(request, obj, message, action=CHANGE, also_to=former)
