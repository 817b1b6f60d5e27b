"""The page on which a merchant sets stock aside for one reseller, or for all of them, and takes it back."""

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
from cardshop.common.shop_scope import within
from inventory.models import Stock, Variant
from inventory.setting import MOST_FREE
from inventory.setting_aside import set_aside, take_back
from resellers.models import Reseller
from resellers.stock import OF_ALL, pool_of


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


def set_aside_page(
    request: HttpRequest, model_admin: MerchantAdmin, reseller: Reseller | None = None
) -> HttpResponse:
    """For all resellers where none is named. With a button for either way: `step` says which was pressed."""
    seen = within(request, Variant.objects.select_related("product").order_by("product", "pk"))
    variants = seen.filter(shop=reseller.shop_id) if reseller else seen
    pool = pool_of(reseller) if reseller else OF_ALL
    form = SetAsideForm(request.POST or None, variants=variants)
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                said = _move(pool, step=request.POST.get("step"), **form.cleaned_data)
                model_admin.log_change(request, reseller or form.cleaned_data["variant"], said)
        except DomainError as refused:
            form.add_error(refused.field, str(refused))
        else:
            messages.success(request, said)
            return redirect(request.path)
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "title": _("Stock set aside for %(reseller)s") % {"reseller": reseller or _("all resellers")},
        "form": form,
        "stocks": Stock.objects.filter(pool=pool, variant__in=variants, total__gt=0)
        .annotate(free=F("total") - F("claimed"))
        .select_related("variant__product")
        .order_by("variant__product", "variant"),
    }
    return render(request, "admin/resellers/set_aside.html", context)


def _move(pool: str, *, step: str | None, variant: Variant, quantity: int) -> str:
    about = {"variant": variant, "count": quantity}
    if step == "take_back":
        take_back(variant, pool=pool, quantity=quantity)
        return _("Taken back: %(count)d × %(variant)s") % about
    set_aside(variant, pool=pool, quantity=quantity)
    return _("Set aside: %(count)d × %(variant)s") % about
