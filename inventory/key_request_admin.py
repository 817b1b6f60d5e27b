"""The pages on which staff ask to see keys, let others see some, and see them."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST

from cardshop.common.admin import ReadOnlyAdmin
from cardshop.common.clock import db_now
from cardshop.common.crypto import CannotOpen
from cardshop.common.errors import DomainError
from cardshop.common.fresh_code import ask_for_code, has_fresh_code
from cardshop.common.shop_scope import ShopAutocompleteFilter
from inventory.accesses import viewer_of
from inventory.key_requests import (
    decline,
    export_requested,
    grant,
    is_usable,
    reveal_requested,
)
from inventory.models import AccessKind, CardKey, KeyRequest, RequestStatus

MAY = {
    AccessKind.REVEALED.value: "inventory.reveal_cardkey",
    AccessKind.EXPORTED.value: "inventory.export_cardkey",
}


@admin.register(KeyRequest)
class KeyRequestAdmin(ReadOnlyAdmin):
    shop_path = "shop"
    list_display = ["asked_at", "kind", "batch", "card_key", "status", "asked_by", "decided_by", "why"]
    list_filter = ["status", "kind", "shop", ("batch", ShopAutocompleteFilter)]
    list_filter_submit = True
    list_select_related = ["batch__variant__product", "card_key"]
    fields = [
        ("kind", "status"),
        "batch",
        "card_key",
        "withdraws",
        "why",
        ("asked_by", "asked_at"),
        ("decided_by", "decided_at"),
    ]
    change_form_outer_before_template = "admin/inventory/key_request.html"

    def get_urls(self) -> list[URLPattern]:
        buttons = {"grant": self.grant, "decline": self.decline, "use": self.use}
        ours = [
            path(
                f"<int:pk>/{name}/",
                self.admin_site.admin_view(require_POST(view)),
                name=f"inventory_keyrequest_{name}",
            )
            for name, view in buttons.items()
        ]
        return [*ours, *super().get_urls()]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        asked = self.get_object(request, object_id) if object_id else None
        if asked and request.user.has_perm(MAY[asked.kind]):
            me = request.user.get_username()
            is_open = asked.status == RequestStatus.AWAITED
            extra_context = {
                **(extra_context or {}),
                "may_grant": is_open and asked.asked_by != me,
                "may_decline": is_open,
                "may_use": is_usable(asked, actor=me, now=db_now()),
                "is_export": asked.kind == AccessKind.EXPORTED,
            }
        return super().changeform_view(request, object_id, form_url, extra_context)

    def grant(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._decide(request, pk, grant, said=_("It is approved."))

    def decline(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._decide(request, pk, decline, said=_("It is declined."))

    def _decide(
        self, request: HttpRequest, pk: int, decide: Callable[..., None], *, said: str
    ) -> HttpResponse:
        asked = self._asked(request, pk)
        if not request.user.has_perm(MAY[asked.kind]):
            messages.error(request, _("You may not do that."))
        elif not has_fresh_code(request):
            return ask_for_code(request, back_to=_page_of(asked))
        else:
            try:
                decide(asked, actor=request.user.get_username(), now=db_now())
                messages.success(request, said)
            except DomainError as refused:
                messages.warning(request, str(refused))
        return redirect(_page_of(asked))

    def use(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """Shows the key, or sends the file. Once."""
        asked = self._asked(request, pk)
        if not request.user.has_perm(MAY[asked.kind]):
            messages.error(request, _("You may not do that."))
        elif not has_fresh_code(request):
            return ask_for_code(request, back_to=_page_of(asked))
        else:
            try:
                return self._show(request, asked, asked.card_key) if asked.card_key else _file(request, asked)
            except DomainError as refused:
                messages.warning(request, str(refused))
            except CannotOpen:
                messages.error(request, _("This key does not open: see manage.py verify."))
        return redirect(_page_of(asked))

    @sensitive_variables("secret", "context")
    def _show(self, request: HttpRequest, asked: KeyRequest, card_key: CardKey) -> HttpResponse:
        secret = reveal_requested(asked, card_key, viewer_of(request), now=db_now())
        context = {
            **self.admin_site.each_context(request),
            "title": _("Card key %(key)s") % {"key": card_key},
            "secret": secret,
            "back": _page_of(asked),
        }
        page = render(request, "admin/inventory/revealed_key.html", context)
        page["Cache-Control"] = "no-store"
        return page

    def _asked(self, request: HttpRequest, pk: int) -> KeyRequest:
        asked: KeyRequest = get_object_or_404(
            self.get_queryset(request).select_related("batch__shop", "card_key"), pk=pk
        )
        return asked


def _file(request: HttpRequest, asked: KeyRequest) -> StreamingHttpResponse:
    lines = export_requested(asked, viewer_of(request), now=db_now())
    response = StreamingHttpResponse(lines, content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="batch-{asked.batch_id}.txt"'
    response["Cache-Control"] = "no-store"
    return response


def _page_of(asked: KeyRequest) -> str:
    return reverse("admin:inventory_keyrequest_change", args=[asked.pk])
