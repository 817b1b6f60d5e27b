"""The button "dealt with", for pages whose rows wait for a person: it asks what was done."""

from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST
from unfold.widgets import UnfoldAdminTextInputWidget

from cardshop.common.admin import ReadOnlyAdmin
from cardshop.common.errors import DomainError
from payments.services.resolving import WHAT_MAX


class DealtWithForm(forms.Form):
    """`why` is the reason that was on the page, so that nobody dismisses one unseen."""

    why = forms.CharField(widget=forms.HiddenInput)
    what = forms.CharField(
        label=gettext_lazy("What was done about it"),
        max_length=WHAT_MAX,
        widget=UnfoldAdminTextInputWidget({"autocomplete": "off"}),
    )


class DealtWithAdmin(ReadOnlyAdmin):
    """Subclasses say which rows wait (`waits`) and let the service do it (`resolve`)."""

    change_form_outer_before_template = "admin/payments/dealt_with.html"

    def waits(self, row: Any) -> bool:
        raise NotImplementedError

    def resolve(self, request: HttpRequest, row: Any, *, why: str, what: str) -> None:
        """Raises DomainError where it is too late."""
        raise NotImplementedError

    def has_dealt_with_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.dealt_with_view))
        return [path("<int:pk>/dealt-with/", view, name=self._url_name("dealt_with")), *super().get_urls()]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        row = self.get_object(request, object_id) if object_id else None
        if row and self.waits(row) and self.has_dealt_with_permission(request):
            extra_context = {
                **(extra_context or {}),
                "dealt_with_form": DealtWithForm(initial={"why": row.attention}),
                "dealt_with_url": reverse(f"admin:{self._url_name('dealt_with')}", args=[row.pk]),
            }
        return super().changeform_view(request, object_id, form_url, extra_context)

    def dealt_with_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        row: Model = self.row_or_404(request, pk)
        form = DealtWithForm(request.POST)
        if not self.has_dealt_with_permission(request):
            messages.error(request, _("You may not do that."))
        elif not form.is_valid():
            messages.error(
                request,
                _("Say in a few words what was done, at most %(count)d characters.") % {"count": WHAT_MAX},
            )
        else:
            try:
                self.resolve(request, row, why=form.cleaned_data["why"], what=form.cleaned_data["what"])
                messages.success(request, _("It is marked as dealt with."))
            except DomainError as refused:
                messages.warning(request, str(refused))
        return redirect(f"admin:{self._url_name('change')}", pk)

    def _url_name(self, page: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{page}"
