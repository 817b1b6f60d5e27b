"""Adding and changing ways to pay: a form for each driver, a fresh code, and word of it to people."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import ADDITION, DELETION
from django.core.exceptions import PermissionDenied
from django.db.models import Model, URLField
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from cardshop.common.admin import GuardedDeleteAdmin
from cardshop.common.fresh_code import CodeNeeded, ask_for_code
from cardshop.common.links import absolute_url
from payments.admin_changes import ToldAdmin
from payments.admin_forms import ChannelForm, can_be_removed, field_name, form_for, removal_name
from payments.gateways import DRIVERS
from payments.gateways.drivers import Driver
from payments.models import PaymentChannel, RefusedNotice
from payments.services.channel_changes import Change

EVERYBODYS = [
    "shop",
    "slug",
    ("name", "name_en"),
    "driver_name",
    "method",
]
IN_THE_SHOP = (_("In the shop"), {"fields": [("is_enabled", "position"), "is_pinned"]})
METHODS = dict(PaymentChannel.METHODS)


class ChannelPages(ToldAdmin, GuardedDeleteAdmin):
    """Shop, short name and driver are fixed at creation: providers hold the address that is made of the first
    two, and other drivers ask for other settings.
    """

    formfield_overrides = {URLField: {"assume_scheme": "https"}}

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        if not self.has_add_permission(request):
            raise PermissionDenied
        if self.needs_code(request):
            return ask_for_code(request)
        if _chosen_driver(request) is None:
            return self._driver_choice(request)
        return super().add_view(request, form_url, extra_context)

    def _driver_choice(self, request: HttpRequest) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Which provider?"),
            "opts": self.opts,
            "drivers": [
                {"driver": driver, "methods": [METHODS[method] for method in driver.methods]}
                for driver in DRIVERS.values()
            ],
        }
        return TemplateResponse(request, "admin/payments/choose_driver.html", context)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        try:
            return super().changelist_view(request, extra_context)
        except CodeNeeded:
            return ask_for_code(request)

    # The form

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """A way to pay whose driver is gone can be looked at, and switched off in the list."""
        if isinstance(obj, PaymentChannel) and obj.driver not in DRIVERS:
            return False
        return super().has_change_permission(request, obj)

    def get_form(
        self, request: HttpRequest, obj: Any | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        driver = _driver_of(obj) if obj else _chosen_driver(request)
        if driver and self._may_edit(request, obj):
            kwargs["form"] = form_for(driver)
            kwargs["help_texts"] = {"is_pinned": _("While it works it goes before the others of its method.")}
        return super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any | None = None) -> Any:
        driver = _driver_of(obj) if obj else _chosen_driver(request)
        if driver and self._may_edit(request, obj):
            settings: list[Any] = [
                (field_name(setting), removal_name(setting))
                if obj and can_be_removed(setting)
                else field_name(setting)
                for setting in driver.settings
            ]
            settings = ["base_url", *settings] if driver.has_address else settings
            fees = [("fee_percent", "fee_fixed"), ("least", "most")]
        else:
            settings = ["base_url", "merchant_id", "provider_key", "other_settings"]
            fees = [("fee_basis_points", "fee_fixed_minor"), ("least_minor", "most_minor")]
        return [
            (None, {"fields": EVERYBODYS}),
            (
                _("Account at the provider"),
                {"fields": [*settings, *(["notify_address"] if obj else [])]},
            ),
            (_("Fees and limits"), {"fields": fees}),
            IN_THE_SHOP,
        ]

    def _may_edit(self, request: HttpRequest, obj: Any | None) -> bool:
        return bool(self.has_change_permission(request, obj) if obj else self.has_add_permission(request))

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        fixed = ["shop", "slug"] if obj else []
        return ["driver_name", "notify_address", "other_settings", *fixed]

    @admin.display(description=_("driver"))
    def driver_name(self, channel: PaymentChannel) -> str:
        driver = DRIVERS.get(channel.driver)
        return str(driver.label if driver else channel.driver)

    @admin.display(description=_("other settings"))
    def other_settings(self, channel: PaymentChannel) -> str:
        return ", ".join(f"{name}: {value}" for name, value in channel.options.items()) or "-"

    @admin.display(description=_("address for notices"))
    def notify_address(self, channel: PaymentChannel) -> str:
        """What to enter at the provider, where it asks for one."""
        if not channel.pk:
            return "-"
        return absolute_url(channel.shop, reverse("notify", args=[channel.slug]))

    # What is written, and written down

    def save_model(self, request: HttpRequest, obj: PaymentChannel, form: Any, change: bool) -> None:
        if isinstance(form, ChannelForm):
            super().save_model(request, obj, form, change)
            return
        if obj.is_enabled and "is_enabled" in form.changed_data and self.needs_code(request):
            raise CodeNeeded
        obj.save(update_fields=form.changed_data)  # from the list, which knows nothing of the rest

    def log_addition(self, request: HttpRequest, obj: PaymentChannel, message: Any) -> Any:
        driver = Change(label=_("driver"), after=self.driver_name(obj))
        return self.record(request, obj, [driver, *message], action=ADDITION)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        self.note_deletions(request, queryset)
        return [
            self.record(
                request,
                channel,
                [
                    Change(label=_("address of the provider"), after=channel.base_url),
                    Change(label=_("merchant id"), after=channel.merchant_id),
                ],
                action=DELETION,
            )
            for channel in queryset
        ]

    def get_actions(self, request: HttpRequest) -> Any:
        """Deleted one by one, each in one transaction with the word of it."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """The refused notices go too; nobody may delete those by themselves."""
        listed, counts, not_allowed, protected = super().get_deleted_objects(objs, request)
        return listed, counts, not_allowed - {RefusedNotice._meta.verbose_name}, protected


def _chosen_driver(request: HttpRequest) -> Driver | None:
    return DRIVERS.get(request.GET.get("driver", ""))


def _driver_of(channel: PaymentChannel) -> Driver | None:
    return DRIVERS.get(channel.driver)
