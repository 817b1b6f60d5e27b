"""The merchant's pages of alerts: where they go, a test, what is the matter now, and what was sent."""

import secrets
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, override
from django.views.decorators.http import require_POST

from cardshop.alerts import words
from cardshop.alerts.drivers import DRIVERS, Driver, Letter
from cardshop.alerts.forms import form_for
from cardshop.alerts.models import Alert, Destination, Message
from cardshop.alerts.sending import NotTaken, deliver
from cardshop.common.admin import MerchantAdmin, ReadOnlyAdmin
from cardshop.common.clock import db_now
from cardshop.common.links import absolute_url
from cardshop.shops.models import Shop


@admin.register(Destination)
class DestinationAdmin(MerchantAdmin):
    """Whoever runs the installation may leave out the shop, and is told of all of them."""

    shop_path = "shop"
    list_display = ["name", "driver_name", "shop", "is_enabled", "failing_since"]
    list_filter = ["is_enabled", "shop"]
    list_select_related = ["shop"]
    change_form_outer_before_template = "admin/alerts/test.html"

    def get_urls(self) -> list[URLPattern]:
        test = self.admin_site.admin_view(require_POST(self.test_view))
        return [path("<int:pk>/test/", test, name="alerts_destination_test"), *super().get_urls()]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        if not self.has_add_permission(request):
            raise PermissionDenied
        if _chosen(request) is None:
            context = {
                **self.admin_site.each_context(request),
                "title": _("Sent by what?"),
                "opts": self.opts,
                "drivers": DRIVERS.values(),
            }
            return TemplateResponse(request, "admin/alerts/choose_driver.html", context)
        return super().add_view(request, form_url, extra_context)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """What nothing can send to any more can only be looked at."""
        if isinstance(obj, Destination) and obj.driver not in DRIVERS:
            return False
        return bool(super().has_change_permission(request, obj))

    def get_form(
        self, request: HttpRequest, obj: Any | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        driver = DRIVERS.get(obj.driver) if obj else _chosen(request)
        if driver and self._may_edit(request, obj):
            kwargs["form"] = form_for(driver)
        form = super().get_form(request, obj, change, **kwargs)
        if "shop" in form.base_fields:
            form.base_fields["shop"].required = not request.user.is_superuser
        return form

    def get_fieldsets(self, request: HttpRequest, obj: Any | None = None) -> Any:
        driver = DRIVERS.get(obj.driver) if obj else _chosen(request)
        editable = driver and self._may_edit(request, obj)
        settings = [setting.name for setting in driver.settings] if driver and editable else ["address"]
        return [
            (None, {"fields": ["name", "driver_name", "shop", *settings, "is_enabled"]}),
            (gettext_lazy("What, and when"), {"fields": ["kinds", "language", "tells_end"]}),
            (
                gettext_lazy("How much"),
                {"fields": ["every_minutes", "per_hour", ("quiet_from", "quiet_until")]},
            ),
            *([(gettext_lazy("How it goes"), {"fields": ["failing_since", "last_error"]})] if obj else []),
        ]

    def _may_edit(self, request: HttpRequest, obj: Any | None) -> bool:
        return bool(self.has_change_permission(request, obj) if obj else self.has_add_permission(request))

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return ["driver_name", "failing_since", "last_error", *(["shop"] if obj else [])]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """For who runs the installation, all there is: workers, work given up and backups are no shop's."""
        given = super().get_changeform_initial_data(request)
        return given if "shop" in request.GET or not request.user.is_superuser else {**given, "shop": None}

    @admin.display(description=gettext_lazy("sent by"))
    def driver_name(self, destination: Destination) -> str:
        driver = DRIVERS.get(destination.driver)
        return str(driver.label if driver else destination.driver)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        extra_context = {**(extra_context or {}), "may_test": self.has_change_permission(request)}
        return super().changeform_view(request, object_id, form_url, extra_context)

    def test_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Now, and not through the outbox: whoever presses the button waits for the answer."""
        destination = get_object_or_404(self.get_queryset(request), pk=pk)
        if not self.has_change_permission(request, destination):
            raise PermissionDenied
        try:
            deliver(destination, _test_letter(destination))
        except NotTaken as error:
            messages.error(request, _("It was not taken: %s") % error)
        else:
            messages.success(request, _("It was taken. Look whether it has arrived."))
            Destination.objects.filter(pk=destination.pk).update(failing_since=None, last_error="")
        return redirect("admin:alerts_destination_change", pk)


def _test_letter(destination: Destination) -> Letter:
    shop = destination.shop or Shop.objects.order_by("pk").first()
    with override(destination.language):
        title = words.title_of([_("a test")], destination.shop)
        text = _("This is how alerts arrive here. Nothing is wrong.")
    link = absolute_url(shop, reverse("admin:index")) if shop else ""
    return Letter(uid=secrets.token_hex(16), title=title, text=f"{text}\n{link}".strip(), at=db_now())


def _chosen(request: HttpRequest) -> Driver | None:
    return DRIVERS.get(request.GET.get("driver", ""))


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    shop_path = "shop"
    list_display = ["what", "kind", "shop", "seen_at", "told_at", "ended_at"]
    list_filter = ["kind", "shop", "seen_at"]
    list_select_related = ["shop"]
    fields = ["what", "kind", "shop", "seen_at", "told_at", "ended_at"]

    @admin.display(description=gettext_lazy("what"))
    def what(self, alert: Alert) -> str:
        return words.sentence(alert, is_end=False)


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    shop_path = "destination__shop"
    list_display = ["title", "destination", "status", "created_at", "ended_at", "attempts"]
    list_filter = ["status", "destination"]
    list_select_related = ["destination"]
    fields = ["destination", "title", "text", "status", "created_at", "ended_at", "attempts", "last_error"]
