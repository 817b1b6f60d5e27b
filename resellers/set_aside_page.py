"""The page on which a merchant sets stock aside for one reseller, and takes it back."""

from typing import Any

from django import forms
from django.contrib import messages
from django.db import transaction
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget

from cardshop.common.admin import MerchantAdmin
from cardshop.common.errors import DomainError
from inventory.models import Stock, Variant
from inventory.setting import MOST_FREE
from inventory.setting_aside import set_aside, take_back
from resellers.models import Reseller
from resellers.stock import pool_of


class SetAsideForm(forms.Form):
    variant = forms.ModelChoiceField(
        label=gettext_lazy("Variant"), queryset=Variant.objects.none(), widget=UnfoldAdminSelectWidget
    )
    quantity = forms.IntegerField(
        label=gettext_lazy("How many"),
        min_value=1,
        max_value=MOST_FREE,
        widget=UnfoldAdminIntegerFieldWidget,
    )

    def __init__(self, *args: Any, variants: QuerySet[Variant], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offered: Any = self.fields["variant"]
        offered.queryset = variants


def set_aside_page(request: HttpRequest, model_admin: MerchantAdmin, reseller: Reseller) -> HttpResponse:
    """With a button for either way: `step` says which was pressed."""
    variants = (
        Variant.objects.filter(shop=reseller.shop_id).select_related("product").order_by("product", "pk")
    )
    form = SetAsideForm(request.POST or None, variants=variants)
    if request.method == "POST" and form.is_valid():
        try:
            said = _move(request, model_admin, reseller, **form.cleaned_data)
        except DomainError as refused:
            form.add_error(refused.field, str(refused))
        else:
            messages.success(request, said)
            return redirect(request.path)
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "title": _("Stock set aside for %(reseller)s") % {"reseller": reseller},
        "form": form,
        "stocks": Stock.objects.filter(pool=pool_of(reseller), total__gt=0)
        .annotate(free=F("total") - F("claimed"))
        .select_related("variant__product")
        .order_by("variant__product", "variant"),
    }
    return render(request, "admin/resellers/set_aside.html", context)


@transaction.atomic
def _move(
    request: HttpRequest, model_admin: MerchantAdmin, reseller: Reseller, *, variant: Variant, quantity: int
) -> str:
    about = {"variant": variant, "count": quantity}
    if request.POST.get("step") == "take_back":
        take_back(variant, pool=pool_of(reseller), quantity=quantity)
        said = _("Taken back: %(count)d × %(variant)s") % about
    else:
        set_aside(variant, pool=pool_of(reseller), quantity=quantity)
        said = _("Set aside: %(count)d × %(variant)s") % about
    model_admin.log_change(request, reseller, said)
    return said
