"""The merchant's pages of webhooks and of what was sent to them. A secret is shown once."""

import json
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST
from unfold.decorators import action

from cardshop.common.admin import MadeOnceAdmin, ReadOnlyAdmin, at
from cardshop.common.clock import db_now
from cardshop.common.errors import DomainError
from cardshop.common.fresh_code import ask_for_code, has_fresh_code
from cardshop.common.shop_scope import within
from cardshop.shops.models import Shop
from resellers.models import Reseller, WebhookDelivery, WebhookEndpoint
from resellers.webhooks.calls import as_told
from resellers.webhooks.endpoints import make_endpoint, remove, resume
from resellers.webhooks.forms import WebhookForm
from resellers.webhooks.replaying import replay


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(MadeOnceAdmin):
    """Only made, resumed and removed: where events go is never changed under whoever checks signatures."""

    shop_path = "shop"
    list_display = ["url", "reseller", "told", "failing_since", "paused_at", "removed_at"]
    list_filter = ["reseller", "shop"]
    list_select_related = ["reseller"]
    search_fields = ["url", "=name", "reseller__name"]
    fields = [
        ("shop", "reseller"),
        ("url", "public_name"),
        "told",
        ("failing_since", "failures"),
        ("paused_at", "paused_because"),
        ("created_at", "removed_at"),
    ]
    readonly_fields = [
        *["shop", "reseller", "url", "public_name", "told", "failing_since", "failures", "paused_at"],
        *["paused_because", "created_at", "removed_at"],
    ]
    change_form_outer_before_template = "admin/resellers/webhook_forms.html"

    @admin.display(description=gettext_lazy("name of the key"))
    def public_name(self, endpoint: WebhookEndpoint) -> str:
        return endpoint.name

    @admin.display(description=gettext_lazy("about"))
    def told(self, endpoint: WebhookEndpoint) -> str:
        return ", ".join(endpoint.kinds)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        views = {"resume": self.resume_view, "remove": self.remove_view}
        ours = [
            path(
                f"<int:pk>/{name}/",
                self.admin_site.admin_view(require_POST(view)),
                name=f"resellers_webhookendpoint_{name}",
            )
            for name, view in views.items()
        ]
        return [*ours, *super().get_urls()]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Ends on the page with the secret."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        if not has_fresh_code(request):
            return ask_for_code(request)
        form = WebhookForm(
            request.POST or None,
            shops=within(request, Shop.objects.order_by("pk")),
            resellers=within(request, Reseller.objects.order_by("name")),
        )
        if form.is_valid():
            try:
                with transaction.atomic(durable=True):
                    endpoint, secret = make_endpoint(**form.cleaned_data, now=db_now())
                    self.log_addition(request, endpoint, ", ".join(endpoint.kinds))
            except DomainError as refused:
                form.add_error(refused.field or None, str(refused))
            else:
                return self._show_secret(request, endpoint, secret)
        context = {**self.admin_site.each_context(request), "title": _("A new webhook"), "form": form}
        return render(request, "admin/resellers/new_webhook.html", context)

    def resume_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        endpoint = self._changeable(request, pk)
        said = _("What has waited for it is being sent.")
        with transaction.atomic(durable=True):
            if is_new := resume(endpoint, now=db_now()):
                self.log_change(request, endpoint, said)
        if is_new:
            messages.success(request, said)
        return redirect(_page_of(endpoint))

    def remove_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Takes no code: who has to stop something is in a hurry."""
        endpoint = self._changeable(request, pk)
        said = _("It hears of nothing any more.")
        with transaction.atomic(durable=True):
            if is_new := remove(endpoint, now=db_now()):
                self.log_change(request, endpoint, said)
        if is_new:
            messages.success(request, said)
        return redirect(_page_of(endpoint))

    def _changeable(self, request: HttpRequest, pk: int) -> WebhookEndpoint:
        endpoint: WebhookEndpoint = self.row_or_404(request, pk)
        if not self.has_change_permission(request, endpoint):
            raise PermissionDenied
        return endpoint

    def _show_secret(self, request: HttpRequest, endpoint: WebhookEndpoint, secret: str) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": _("Secret of %s") % endpoint.url,
            "endpoint": endpoint,
            "secret": secret,
            "page": _page_of(endpoint),
        }
        response = render(request, "admin/resellers/webhook_secret.html", context)
        response["Cache-Control"] = "no-store"
        return response


def _page_of(endpoint: WebhookEndpoint) -> str:
    return reverse("admin:resellers_webhookendpoint_change", args=[endpoint.pk])


class StateFilter(admin.SimpleListFilter):
    title = gettext_lazy("state")
    parameter_name = "state"
    states = {
        "waiting": {"next_at__isnull": False},
        "delivered": {"delivered_at__isnull": False},
        "given_up": {"gave_up_at__isnull": False},
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("waiting", _("waiting")), ("delivered", _("delivered")), ("given_up", _("given up"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.states.get(self.value() or "")
        return queryset.filter(**chosen) if chosen else queryset


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    """The log of webhooks. To change a delivery is to send it again."""

    shop_path = "endpoint__shop"
    list_display = [
        "event",
        "endpoint",
        "promised_at",
        "attempts",
        "last_status",
        "arrived_at",
        "gave_up_at",
    ]
    list_filter = [StateFilter, "endpoint"]
    list_select_related = ["event", "endpoint"]
    search_fields = ["=uid", "=event__subject"]
    fields = [
        ("event", "endpoint"),
        "number",
        ("promised_at", "tried_next", "attempts"),
        ("arrived_at", "gave_up_at"),
        ("last_status", "last_error"),
        "response",
        "payload",
    ]
    readonly_fields = ["number", "tried_next", "arrived_at", "payload"]
    actions = ["replay_selected"]
    change_form_outer_before_template = "admin/resellers/replay_form.html"

    @admin.display(description=gettext_lazy("number of the delivery"))
    def number(self, delivery: WebhookDelivery) -> str:
        return str(delivery.uid)

    @admin.display(description=gettext_lazy("next try at"))
    def tried_next(self, delivery: WebhookDelivery) -> str:
        return at(delivery.next_at)

    @admin.display(description=gettext_lazy("arrived at"), ordering="delivered_at")
    def arrived_at(self, delivery: WebhookDelivery) -> str:
        return at(delivery.delivered_at)

    @admin.display(description=gettext_lazy("what is sent"))
    def payload(self, delivery: WebhookDelivery) -> str:
        text = json.dumps(as_told(delivery.event), ensure_ascii=False, indent=2, sort_keys=True)
        return format_html('<pre class="as-sent">{}</pre>', text)

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("resellers.change_webhookdelivery")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.replay_view))
        ours = path("<int:pk>/replay/", view, name="resellers_webhookdelivery_replay")
        return [ours, *super().get_urls()]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        extra_context = {**(extra_context or {}), "may_replay": self.has_replay_permission(request)}
        return super().changeform_view(request, object_id, form_url, extra_context)

    def replay_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        delivery: WebhookDelivery = self.row_or_404(request, pk)
        if not self.has_replay_permission(request):
            raise PermissionDenied
        self._replay(request, WebhookDelivery.objects.filter(pk=delivery.pk))
        return redirect("admin:resellers_webhookdelivery_change", pk)

    @action(description=gettext_lazy("Send again"), permissions=["replay"])
    def replay_selected(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        chosen = list(queryset.values_list("pk", flat=True))
        self._replay(request, WebhookDelivery.objects.filter(pk__in=chosen))

    def _replay(self, request: HttpRequest, deliveries: QuerySet[WebhookDelivery]) -> None:
        with self.noting(request, deliveries):
            again = replay(deliveries, now=db_now())
        self.message_user(
            request,
            ngettext("%(count)d is being sent again.", "%(count)d are being sent again.", again)
            % {"count": again},
            messages.SUCCESS if again else messages.WARNING,
        )
