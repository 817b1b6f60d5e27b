"""The page on which a person fills in an order. What was entered is never shown again, not even on errors."""

from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from unfold.admin import ModelAdmin

from cardshop.common.clock import db_now
from cardshop.common.crypto import CannotOpen
from cardshop.common.errors import DomainError, Invalid
from inventory.key_import_page import ForgetfulTextarea
from orders.answers import Answer, opened_answers
from orders.errors import FilledInMeanwhile
from orders.models import DeliveredKey, Order, OrderItem
from orders.services.fulfilling import fill_in, missing_slots, replace, replaceable

FIELDS_SHOWN = 10  # for each missing unit of a line; the rest goes by lines
_TYPED = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}


@dataclass
class LineToFill:
    """A line as the page shows it. `missing`: slots; `given`: what may be replaced."""

    item: OrderItem
    missing: list[int]
    given: list[DeliveredKey] = field(default_factory=list)
    answers: list[Answer] | None = None  # None: they do not open


class FillingForm(forms.Form):
    """For each line, one field a slot that was missing when the page was opened, and one for many lines.

    The slots travel with the form, so that what is pasted goes where it was meant to go, or nowhere.
    """

    def __init__(self, *args: Any, lines: list[LineToFill], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lines = lines
        for line in lines:
            for slot in line.missing[:FIELDS_SHOWN]:
                self.fields[f"slot-{line.item.pk}-{slot}"] = _text_field(
                    _("No. %(number)d") % {"number": slot + 1}, rows=2
                )
            if len(line.missing) > 1:
                self.fields[f"lines-{line.item.pk}"] = _text_field(
                    _("Or many at once, one a line"),
                    rows=5,
                    help_text=_("They go to the missing ones in order; fields filled in above come first."),
                )

    def fields_of(self, line: LineToFill) -> list[forms.BoundField]:
        names = [f"slot-{line.item.pk}-{slot}" for slot in line.missing[:FIELDS_SHOWN]]
        return [self[name] for name in [*names, f"lines-{line.item.pk}"] if name in self.fields]

    @sensitive_variables()
    def given(self) -> dict[tuple[int, int], str]:
        """What was typed, by line and slot. Raises TooManyRows, Invalid."""
        if not self.is_valid():  # each may be empty, so only a NUL is wrong
            raise Invalid(_("Plain text only, please: there is a character in it that cannot be shown."))
        texts: dict[tuple[int, int], str] = {}
        for line in self.lines:
            for slot in line.missing[:FIELDS_SHOWN]:
                if text := self.cleaned_data[f"slot-{line.item.pk}-{slot}"].strip():
                    texts[line.item.pk, slot] = text
            pasted = self.cleaned_data.get(f"lines-{line.item.pk}", "")
            rows = [row for row in pasted.replace("\r\n", "\n").split("\n") if row.strip()]
            free = [slot for slot in line.missing if (line.item.pk, slot) not in texts]
            if len(rows) > len(free):
                raise TooManyRows(len(rows), len(free))
            texts |= {(line.item.pk, slot): row for slot, row in zip(free, rows, strict=False)}
        return texts


class TooManyRows(DomainError):
    code = "too_many_rows"
    http_status = 400

    def __init__(self, rows: int, free: int) -> None:
        super().__init__(
            _("Nothing was saved: %(rows)d lines were pasted, and %(free)d are missing.")
            % {"rows": rows, "free": free}
        )


class ReplacingForm(forms.Form):
    delivered = forms.IntegerField(widget=forms.HiddenInput)
    text = forms.CharField(
        label=gettext_lazy("Instead"), strip=False, widget=ForgetfulTextarea({"rows": 2, **_TYPED})
    )


def _text_field(label: str, *, rows: int, help_text: str = "") -> forms.CharField:
    return forms.CharField(
        label=label,
        required=False,
        strip=False,
        help_text=help_text,
        widget=ForgetfulTextarea({"rows": rows, **_TYPED}),
    )


@sensitive_post_parameters()
@sensitive_variables()
def filling_page(request: HttpRequest, model_admin: ModelAdmin, order: Order) -> HttpResponse:
    may_fill_in = request.user.has_perm("orders.change_order")
    if not request.user.has_perm("orders.view_order") or (request.method == "POST" and not may_fill_in):
        raise PermissionDenied
    if request.method == "POST":
        done = _replace(request, order) if "delivered" in request.POST else _fill_in(request, order)
        if done:
            return redirect("admin:orders_orderitem_changelist")
        return redirect("admin:orders_orderitem_fill_in", order.pk)
    lines = _lines(order)
    form = FillingForm(lines=lines)
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "title": _("Fill in order %(number)s") % {"number": order.number},
        "order": order,
        "lines": [{"line": line, "fields": form.fields_of(line)} for line in lines],
        "seen": _packed({line.item.pk: line.missing for line in lines}),
        "is_missing": any(line.missing for line in lines),
        "may_fill_in": may_fill_in,
        "replacing": ReplacingForm(auto_id=False),
    }
    return render(request, "admin/orders/filling.html", context)


def _lines(order: Order) -> list[LineToFill]:
    missing = missing_slots(order)
    items = OrderItem.objects.filter(order=order, due_at__isnull=False).order_by("pk")
    lines = {item.pk: LineToFill(item, missing.get(item.pk, [])) for item in items}
    for delivered in replaceable(order).order_by("item", "slot"):
        lines[delivered.item_id].given.append(delivered)
    for line in lines.values():
        try:
            line.answers = opened_answers(order, line.item)
        except CannotOpen:
            line.answers = None
    return list(lines.values())


@sensitive_variables()
def _fill_in(request: HttpRequest, order: Order) -> bool:
    """True when nothing is missing any more."""
    try:
        seen = _unpacked(request.POST.get("seen", ""))
        items = {item.pk: item for item in OrderItem.objects.filter(order=order, pk__in=seen)}
        lines = [LineToFill(items[pk], slots) for pk, slots in seen.items() if pk in items]
        given = FillingForm(request.POST, lines=lines).given()
        is_whole = fill_in(order, given, actor=request.user.get_username(), now=db_now())
    except DomainError as refused:
        messages.error(request, str(refused))
        return False
    if not is_whole:
        missing = sum(map(len, missing_slots(order).values()))
        text = ngettext(
            "Saved and mailed; %(count)d is missing.", "Saved and mailed; %(count)d are missing.", missing
        )
        messages.warning(request, text % {"count": missing})
        return False
    messages.success(request, _("The order is delivered, and its buyer is told."))
    return True


@sensitive_variables()
def _replace(request: HttpRequest, order: Order) -> bool:
    form = ReplacingForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Nothing was entered."))
        return False
    delivered = DeliveredKey.objects.filter(item__order=order, pk=form.cleaned_data["delivered"]).first()
    try:
        if delivered is None:
            raise FilledInMeanwhile
        replace(delivered, form.cleaned_data["text"], actor=request.user.get_username(), now=db_now())
        messages.success(request, _("It is replaced, and the buyer is told."))
    except DomainError as refused:
        messages.error(request, str(refused))
    return False


def _packed(missing: dict[int, list[int]]) -> str:
    """`7:0,1 8:0`: the slots of each line that the page showed as missing."""
    return " ".join(f"{line}:{','.join(map(str, slots))}" for line, slots in missing.items() if slots)


def _unpacked(text: str) -> dict[int, list[int]]:
    """Raises FilledInMeanwhile for what no page of ours has sent."""
    try:
        parts = [part.split(":") for part in text.split()]
        return {int(line): [int(slot) for slot in slots.split(",")] for line, slots in parts}
    except ValueError as error:
        raise FilledInMeanwhile from error
