"""The merchant's page of a shop."""

import re

from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext as _

from cardshop.common.admin import MerchantAdmin
from cardshop.shops.models import Shop

_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", re.ASCII)


class ShopForm(forms.ModelForm):  # type: ignore[type-arg]
    def clean_host(self) -> str:
        """Lower case and bare, as requests are compared with it and mails are linked to it."""
        host = str(self.cleaned_data["host"]).strip().lower()
        if not _HOST.fullmatch(host):
            raise forms.ValidationError(_("Only the host name, without https://, port and path."))
        return host


@admin.register(Shop)
class ShopAdmin(MerchantAdmin):
    form = ShopForm
    list_display = ["name", "host", "currency", "is_open"]
    search_fields = ["name", "name_en", "slug", "host"]
    fields = [
        ("name", "name_en"),
        "slug",
        "host",
        "currency",
        "contact_email",
        "mail_plain_keys",
        "refunds_need_two",
        "is_open",
    ]

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False  # everything hangs on it; close it instead
