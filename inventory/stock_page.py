"""The page on which a merchant says how many there are of goods without keys, and what every buyer gets."""

from typing import Any

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldBooleanWidget

from cardshop.common.clock import db_now
from cardshop.common.errors import DomainError
from inventory.key_import_page import ForgetfulTextarea
from inventory.models import Fulfilment, Stock, Variant
from inventory.setting import MOST_FREE, change_text, has_text, set_free
from inventory.texts import MOST_BYTES


class StockForm(forms.Form):
    text = forms.CharField(
        label=gettext_lazy("What every buyer gets"),
        required=False,
        strip=False,
        max_length=MOST_BYTES,
        widget=ForgetfulTextarea({"rows": 5, "autocomplete": "off", "spellcheck": "false"}),
    )
    is_unlimited = forms.BooleanField(
        label=gettext_lazy("Unlimited"), required=False, widget=UnfoldBooleanWidget
    )
    free = forms.IntegerField(
        label=gettext_lazy("For sale from now on"),
        required=False,
        min_value=0,
        max_value=MOST_FREE,
        help_text=gettext_lazy("What is held or sold already is not counted here."),
        widget=UnfoldAdminIntegerFieldWidget,
    )

    def __init__(self, *args: Any, variant: Variant, has_text: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if variant.fulfilment != Fulfilment.REUSABLE:
            del self.fields["text"]
            return
        self.fields["text"].required = not has_text
        self.fields["text"].help_text = (
            _("There is one. It is not shown; leave this empty to keep it.")
            if has_text
            else _("A key, a link, a few lines. It is encrypted and not shown here again.")
        )

    @sensitive_variables()
    def clean(self) -> None:
        cleaned = self.cleaned_data
        if not cleaned.get("is_unlimited") and cleaned.get("free") is None and "free" not in self.errors:
            self.add_error("free", _("Say how many, or tick “unlimited”."))


@sensitive_post_parameters("text")
@sensitive_variables()
def stock_page(request: HttpRequest, model_admin: ModelAdmin, variant: Variant) -> HttpResponse:
    stock = Stock.objects.filter(variant=variant, pool=Stock.PUBLIC).first()
    initial = {
        "is_unlimited": stock is not None and stock.total is None,
        "free": stock.total - stock.claimed if stock and stock.total is not None else None,
    }
    form = StockForm(request.POST or None, initial=initial, variant=variant, has_text=has_text(variant))
    if request.method == "POST" and form.is_valid():
        try:
            _save(request, model_admin, variant, form.cleaned_data)
        except DomainError as refused:
            form.add_error("text" if "text" in form.fields else None, str(refused))
        else:
            messages.success(request, _("It is saved."))
            return redirect("admin:inventory_variant_change", variant.pk)
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "title": _("Stock of %(variant)s") % {"variant": variant},
        "form": form,
    }
    return render(request, "admin/inventory/stock.html", context)


@sensitive_variables()
@transaction.atomic
def _save(request: HttpRequest, model_admin: ModelAdmin, variant: Variant, said: dict[str, Any]) -> None:
    told = _("Stock set: %s") % (_("unlimited") if said["is_unlimited"] else said["free"])
    if (text := said.get("text") or "").strip():
        change_text(variant, text, changed_by=request.user.get_username(), now=db_now())
        told += " · " + _("what every buyer gets: changed")
    set_free(variant, None if said["is_unlimited"] else said["free"])
    model_admin.log_change(request, variant, told)
