"""The merchant's page of a batch: take what is left of it out of sale, find its buyers, call it back.

It is here and not in inventory, since what buyers get in its place is decided with orders and money.
"""

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from cardshop.common.admin import ReadOnlyAdmin
from cardshop.common.clock import db_now
from cardshop.common.errors import DomainError
from cardshop.outbox.services import promise
from inventory.admin import KeyBatchAdmin
from inventory.asking_pages import MAY_EXPORT, WhyForm, export_view
from inventory.models import CardKey, CardKeyStatus, KeyBatch
from payments.checkout.batch_buyers import ReasonForm, buyers_csv, buyers_page
from payments.checkout.reasons import in_words
from payments.models import KeyRecall
from payments.services.recalls import approve_recall, decline_recall, go_on_with, recall_batch
from payments.states import RecallStatus, RecallWay

WITHDRAW, SEE_BUYERS, DECIDE = "inventory.change_keybatch", "orders.view_order", "payments.change_refund"
REPLACE, REFUND = (WITHDRAW, "orders.change_order"), (WITHDRAW, "payments.add_refund")


admin.site.unregister(KeyBatch)


@admin.register(KeyBatch)
class SoldBatchAdmin(KeyBatchAdmin):
    change_form_outer_before_template = "admin/payments/bad_batch.html"

    def get_urls(self) -> list[URLPattern]:
        buttons = {
            "withdraw": self.withdraw,
            "replace": self.replace,
            "refund": self.refund,
            "approve": self.approve,
            "decline": self.decline,
            "go-on": self.go_on,
            "buyers-csv": self.buyers_csv,
            "export": self.export,
        }
        ours = [
            path(f"<int:pk>/{name}/", self.admin_site.admin_view(require_POST(view)), name=_url_name(name))
            for name, view in buttons.items()
        ]
        buyers = self.admin_site.admin_view(require_safe(self.buyers))
        return [path("<int:pk>/buyers/", buyers, name=_url_name("buyers")), *ours, *super().get_urls()]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        batch = self.get_object(request, object_id) if object_id else None
        if batch and self.has_view_permission(request, batch):
            extra_context = {**(extra_context or {}), **_standing(batch), **_allowed(request, batch)}
        return super().changeform_view(request, object_id, form_url, extra_context)

    def withdraw(self, request: HttpRequest, pk: int) -> HttpResponse:
        @transaction.atomic
        def act(batch: KeyBatch, reason: str) -> None:
            promise("inventory.void_batch", [batch.pk], shop_id=batch.shop_id, now=db_now())
            self.log_change(request, batch, f"withdrawn: {reason}")

        said = _("Its free keys are being taken out of sale. Reload this page in a moment.")
        return self._press(request, pk, may=(WITHDRAW,), act=act, said=said)

    def replace(self, request: HttpRequest, pk: int) -> HttpResponse:
        said = _("The buyers are getting new keys, and a mail that says so.")
        return self._press(request, pk, may=REPLACE, act=self._recall(request, RecallWay.REPLACE), said=said)

    def refund(self, request: HttpRequest, pk: int) -> HttpResponse:
        said = _(
            "The buyers get their money back; where you want two for that, once the second has approved it."
        )
        return self._press(request, pk, may=REFUND, act=self._recall(request, RecallWay.REFUND), said=said)

    def approve(self, request: HttpRequest, pk: int) -> HttpResponse:
        def act(batch: KeyBatch, _reason: str) -> None:
            approve_recall(_live_recall(batch), actor=request.user.get_username(), now=db_now())

        return self._press(request, pk, may=(DECIDE,), act=act, said=_("It is approved."), with_reason=False)

    def decline(self, request: HttpRequest, pk: int) -> HttpResponse:
        def act(batch: KeyBatch, _reason: str) -> None:
            decline_recall(_live_recall(batch), actor=request.user.get_username(), now=db_now())

        return self._press(request, pk, may=(DECIDE,), act=act, said=_("It is declined."), with_reason=False)

    def go_on(self, request: HttpRequest, pk: int) -> HttpResponse:
        def act(batch: KeyBatch, _reason: str) -> None:
            go_on_with(_live_recall(batch), now=db_now())

        return self._press(request, pk, may=(WITHDRAW,), act=act, said=_("It goes on."), with_reason=False)

    def buyers(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        batch = self._batch(request, pk)
        if not request.user.has_perm(SEE_BUYERS):
            return self._refuse(request, pk, _("You may not do that."))
        return buyers_page(request, self, batch)

    def buyers_csv(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        batch, form = self._batch(request, pk), ReasonForm(request.POST)
        if not request.user.has_perm(SEE_BUYERS):
            return self._refuse(request, pk, _("You may not do that."))
        if not form.is_valid():
            return self._refuse(request, pk, _("Say in a few words why."))
        return buyers_csv(request, batch, why=form.cleaned_data["reason"])

    def export(self, request: HttpRequest, pk: int) -> HttpResponse:
        return export_view(request, self._batch(request, pk))

    def _recall(self, request: HttpRequest, way: RecallWay) -> Callable[[KeyBatch, str], None]:
        def act(batch: KeyBatch, reason: str) -> None:
            recall_batch(batch, way, reason=reason, actor=request.user.get_username(), now=db_now())
            self.log_change(request, batch, f"{way}: {reason}")

        return act

    def _press(
        self,
        request: HttpRequest,
        pk: int,
        *,
        may: Sequence[str],
        act: Callable[[KeyBatch, str], None],
        said: str,
        with_reason: bool = True,
    ) -> HttpResponse:
        batch, form = self._batch(request, pk), ReasonForm(request.POST)
        if not request.user.has_perms(may):
            return self._refuse(request, pk, _("You may not do that."))
        if with_reason and not form.is_valid():
            return self._refuse(request, pk, _("Say in a few words why."))
        try:
            act(batch, form.cleaned_data["reason"] if with_reason else "")
            messages.success(request, said)
        except DomainError as refused:
            messages.warning(request, str(refused))
        return redirect("admin:inventory_keybatch_change", pk)

    def _refuse(self, request: HttpRequest, pk: int, why: str) -> HttpResponse:
        messages.error(request, why)
        return redirect("admin:inventory_keybatch_change", pk)


@admin.register(KeyRecall)
class KeyRecallAdmin(ReadOnlyAdmin):
    shop_path = "shop"
    list_display = [
        "asked_at",
        "batch",
        "way",
        "status",
        "lines",
        "done",
        "failed",
        "asked_by",
        "approved_by",
    ]
    list_filter = ["status", "way", "shop"]
    list_select_related = ["batch__variant__product"]
    fields = [
        "shop",
        "batch",
        ("way", "status"),
        "reason",
        ("lines", "done", "failed"),
        "why",
        ("asked_by", "asked_at"),
        ("approved_by", "ended_at"),
    ]
    change_form_outer_before_template = "admin/payments/recall.html"

    @admin.display(description=gettext_lazy("halted because"))
    def why(self, recall: KeyRecall) -> str:
        return in_words(recall.halted) or "-"


def _url_name(page: str) -> str:
    return f"inventory_keybatch_{page.replace('-', '_')}"


def _live_recall(batch: KeyBatch) -> KeyRecall:
    return get_object_or_404(KeyRecall, batch=batch, status__in=[RecallStatus.AWAITED, RecallStatus.RUNNING])


def _standing(batch: KeyBatch) -> dict[str, Any]:
    """What became of the batch's keys, and how far the last recall is."""
    counts = dict(
        CardKey.objects.filter(batch=batch).values_list("status").annotate(count=Count("pk")).order_by()
    )
    labels = dict(CardKeyStatus.choices)
    recall = KeyRecall.objects.filter(batch=batch).first()
    is_live = recall is not None and recall.status in (RecallStatus.AWAITED, RecallStatus.RUNNING)
    return {
        "key_counts": [(labels[status], counts.get(status, 0)) for status in CardKeyStatus.values],
        "has_free": bool(counts.get(CardKeyStatus.AVAILABLE)),
        "recall": recall,
        "recall_share": 100 * (recall.done + recall.failed) // recall.lines if recall and recall.lines else 0,
        "recall_halted": in_words(recall.halted) if recall else "",
        "is_live": is_live,
        "may_recall": not is_live or bool(recall and recall.halted),
    }


def _allowed(request: HttpRequest, batch: KeyBatch) -> dict[str, Any]:
    """Which buttons this person has."""
    is_imported = batch.origin == KeyBatch.Origin.IMPORTED

    def may(rights: Sequence[str]) -> bool:
        return is_imported and request.user.has_perms(rights)

    return {
        "reason_form": ReasonForm(),
        "why_form": WhyForm() if may((MAY_EXPORT,)) else None,
        "ask_url": reverse("admin:inventory_keybatch_export", args=[batch.pk]),
        "is_batch": True,
        "may_withdraw": may((WITHDRAW,)),
        "may_replace": may(REPLACE),
        "may_refund": may(REFUND),
        "may_decide": may((DECIDE,)),
        "may_see_buyers": may((SEE_BUYERS,)),
    }
