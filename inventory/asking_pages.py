"""The buttons that ask to see a key, on its page, and to export a batch, on its."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminTextInputWidget

from cardshop.common.clock import db_now
from cardshop.common.errors import DomainError
from inventory.key_requests import ask_to_export, ask_to_reveal
from inventory.models import CardKey, KeyBatch, KeyRequest, RequestStatus

MAY_REVEAL, MAY_EXPORT, MAY_WITHDRAW = (
    "inventory.reveal_cardkey",
    "inventory.export_cardkey",
    "inventory.change_keybatch",
)


class WhyForm(forms.Form):
    why = forms.CharField(
        label=gettext_lazy("Why"),
        max_length=200,
        help_text=gettext_lazy("It is noted with your name, the time and the address. No keys here."),
        widget=UnfoldAdminTextInputWidget({"autocomplete": "off"}),
    )


def reveal_view(request: HttpRequest, card_key: CardKey) -> HttpResponse:
    back, form = redirect("admin:inventory_cardkey_change", card_key.pk), WhyForm(request.POST)
    if refusal := _refusal(request, form, MAY_REVEAL):
        messages.error(request, refusal)
        return back
    asked = ask_to_reveal(
        card_key, why=form.cleaned_data["why"], actor=request.user.get_username(), now=db_now()
    )
    return _on_to(request, asked)


def export_view(request: HttpRequest, batch: KeyBatch) -> HttpResponse:
    """With `withdraw`, what is for sale of the batch is taken out of sale first."""
    back, form = redirect("admin:inventory_keybatch_change", batch.pk), WhyForm(request.POST)
    withdraws = "withdraw" in request.POST
    if refusal := _refusal(request, form, MAY_EXPORT, *([MAY_WITHDRAW] if withdraws else [])):
        messages.error(request, refusal)
        return back
    try:
        asked = ask_to_export(
            batch,
            withdraws=withdraws,
            why=form.cleaned_data["why"],
            actor=request.user.get_username(),
            now=db_now(),
        )
    except DomainError as refused:
        messages.warning(request, str(refused))
        return back
    return _on_to(request, asked)


def _refusal(request: HttpRequest, form: WhyForm, *may: str) -> str:
    if not request.user.has_perms(may):
        return _("You may not do that.")
    return "" if form.is_valid() else _("Say in a few words why.")


def _on_to(request: HttpRequest, asked: KeyRequest) -> HttpResponse:
    if asked.status == RequestStatus.AWAITED:
        messages.success(request, _("A second person has to approve this now."))
    return redirect("admin:inventory_keyrequest_change", asked.pk)
