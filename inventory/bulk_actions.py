"""What a merchant does to many products or variants at once: put on sale, take off, change prices."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.decorators import action
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from cardshop.common.admin import MerchantAdmin
from cardshop.common.locks import lock_rows
from cardshop.common.money import MAX_MINOR, display, to_minor
from cardshop.traffic.display_cache import forget_on_commit
from inventory.models import Variant

MOST = 500  # variants whose prices are changed at once
MOST_PERCENT = 1000


def _set_all(page: MerchantAdmin, request: HttpRequest, rows: QuerySet[Any], field: str, value: bool) -> None:
    """Of whatever is otherwise; says how many those were."""
    chosen = page.model._base_manager.filter(pk__in=list(rows.values_list("pk", flat=True)))
    with transaction.atomic():
        lock_rows(chosen)
        others = chosen.filter(**{field: not value})
        pks = [row.pk for row in others]
        others = page.model._base_manager.filter(pk__in=pks)
        with page.noting(request, others):
            others.update(**{field: value})
        for shop_id in set(others.order_by().values_list("shop", flat=True)):
            forget_on_commit(shop_id)
    said = ngettext("%(count)d was changed.", "%(count)d were changed.", len(pks)) % {"count": len(pks)}
    page.message_user(request, said, messages.SUCCESS if pks else messages.WARNING)


class ListsMany(MerchantAdmin):
    """For the list of products."""

    actions = ["list_selected", "unlist_selected"]

    @action(description=gettext_lazy("List in the shop"), permissions=["change"])
    def list_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        _set_all(self, request, queryset, "is_listed", True)

    @action(description=gettext_lazy("Take out of the shop"), permissions=["change"])
    def unlist_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        _set_all(self, request, queryset, "is_listed", False)


class PricesForm(forms.Form):
    WAYS = [
        ("up_percent", gettext_lazy("raise by percent")),
        ("down_percent", gettext_lazy("lower by percent")),
        ("up_amount", gettext_lazy("raise by an amount")),
        ("down_amount", gettext_lazy("lower by an amount")),
        ("to_amount", gettext_lazy("set to an amount")),
    ]

    way = forms.ChoiceField(label=gettext_lazy("How"), choices=WAYS, widget=UnfoldAdminSelectWidget)
    value = forms.CharField(
        label=gettext_lazy("By how much, or to what"),
        max_length=20,
        help_text=gettext_lazy("Such as 12.5. Percents are rounded to what the currency has."),
        widget=UnfoldAdminTextInputWidget({"inputmode": "decimal", "autocomplete": "off"}),
    )

    def __init__(self, *args: Any, variants: Iterable[Variant], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.variants = list(variants)
        self.prices: dict[int, int] = {}  # what they are to be, by primary key

    def clean(self) -> None:
        way, text = self.cleaned_data.get("way"), self.cleaned_data.get("value", "").strip()
        if not way or not text:
            return
        if not way.endswith("percent") and len({variant.currency for variant in self.variants}) > 1:
            self.add_error("way", _("These have several currencies: an amount fits only one."))
            return
        try:
            self.prices = {each.pk: _new_price(each, way, text) for each in self.variants}
        except ValueError:
            self.add_error("value", _("Enter a number such as 12.5."))
            return
        wrong = [str(each) for each in self.variants if not 0 < self.prices[each.pk] <= MAX_MINOR]
        if wrong:
            self.prices = {}
            self.add_error("value", _("No price would be left of: %(names)s.") % {"names": ", ".join(wrong)})


def _new_price(variant: Variant, way: str, text: str) -> int:
    """In minor units; halves of one are rounded up. Raises ValueError."""
    direction, unit = way.split("_")
    if unit == "percent":
        hundredths = to_minor(text, "CNY")
        if hundredths > MOST_PERCENT * 100:
            raise ValueError("more than anybody means")
        change = Decimal(variant.price_minor) * hundredths / 10_000
        exact = variant.price_minor + (change if direction == "up" else -change)
        return int(exact.quantize(Decimal(1), ROUND_HALF_UP))
    minor = to_minor(text, variant.currency)
    return {"up": variant.price_minor + minor, "down": variant.price_minor - minor, "to": minor}[direction]


@dataclass(frozen=True)
class Line:
    """Of the preview."""

    variant: Variant
    shown: str  # number, price and new price, `12:990:1290`, sent back with the button
    now: str
    then: str


class PricesMany(MerchantAdmin):
    """For the list of variants."""

    actions = ["put_on_sale", "take_off_sale", "change_prices"]

    @action(description=gettext_lazy("Put on sale"), permissions=["change"])
    def put_on_sale(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        _set_all(self, request, queryset, "is_active", True)

    @action(description=gettext_lazy("Take off sale"), permissions=["change"])
    def take_off_sale(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        _set_all(self, request, queryset, "is_active", False)

    @action(description=gettext_lazy("Change prices …"), permissions=["change"])
    def change_prices(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Asks how, shows what comes of it, and does that only while all prices are as they were shown."""
        chosen = Variant.objects.filter(pk__in=list(queryset.values_list("pk", flat=True)[: MOST + 1]))
        if chosen.count() > MOST:
            said = _("At most %(count)d variants at once, please.") % {"count": MOST}
            self.message_user(request, said, messages.WARNING)
            return None
        step = request.POST.get("step", "")
        with transaction.atomic():
            (variants,) = lock_rows(chosen)
            form = PricesForm(request.POST if step else None, variants=variants)
            lines = _lines(form) if step and form.is_valid() else []
            if step == "save" and lines:
                if not (why_not := _why_not(request, lines)):
                    self._write_prices(request, variants, form.prices)
                    return None
                self.message_user(request, why_not, messages.ERROR)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Change prices"),
            "opts": self.opts,
            "form": form,
            "lines": lines,
            "variants": variants,
            "selected": ACTION_CHECKBOX_NAME,
        }
        return render(request, "admin/inventory/prices.html", context)

    def _write_prices(self, request: HttpRequest, variants: list[Variant], prices: dict[int, int]) -> None:
        """They are locked."""
        others = [variant for variant in variants if prices[variant.pk] != variant.price_minor]
        with self.noting(request, Variant.objects.filter(pk__in=[variant.pk for variant in others])):
            for variant in others:
                Variant.objects.filter(pk=variant.pk).update(price_minor=prices[variant.pk])
        for shop_id in {variant.shop_id for variant in others}:
            forget_on_commit(shop_id)
        said = ngettext("%(count)d price was changed.", "%(count)d prices were changed.", len(others))
        self.message_user(request, said % {"count": len(others)}, messages.SUCCESS)


def _lines(form: PricesForm) -> list[Line]:
    return [
        Line(
            variant=each,
            shown=f"{each.pk}:{each.price_minor}:{form.prices[each.pk]}",
            now=display(each.price_minor, each.currency),
            then=display(form.prices[each.pk], each.currency),
        )
        for each in form.variants
    ]


def _why_not(request: HttpRequest, lines: list[Line]) -> str:
    """What is saved is what was shown: of the prices as they were, and as they are to be."""
    shown = set(request.POST.getlist("shown"))
    if {line.shown for line in lines} <= shown:
        return ""
    begins = {each.rpartition(":")[0] for each in shown}
    changed = [str(line.variant) for line in lines if line.shown.rpartition(":")[0] not in begins]
    if not changed:
        return _("Nothing was saved yet: look at the new prices first.")
    said = _("Nothing was saved. Somebody else has changed meanwhile: %(names)s.")
    return said % {"names": ", ".join(changed)}
