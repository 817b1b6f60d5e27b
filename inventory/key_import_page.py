"""The page that takes card keys in. Nothing of them ever comes back out of it, not even on errors."""

from io import StringIO
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from unfold.admin import ModelAdmin
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from cardshop.common.clock import db_now
from cardshop.common.errors import Invalid
from inventory.errors import NotByKeys
from inventory.imports import ImportReport, import_keys
from inventory.models import Fulfilment, Variant

LINES_NAMED = 100
# A megabyte below ADMIN_BODY_LIMIT, which counts the rest of the form, too, and refuses without a reason.
MAX_FILE_BYTES = 7 * 1024 * 1024


class ForgetfulTextarea(UnfoldAdminTextareaWidget):
    """Never shows what was entered before."""

    def format_value(self, value: object) -> str:
        return ""


class KeyImportForm(forms.Form):
    variant = forms.ModelChoiceField(
        Variant.objects.filter(fulfilment=Fulfilment.CARD_KEY)
        .select_related("product", "shop")
        .order_by("product__name", "position", "pk"),
        label=gettext_lazy("Variant"),
        empty_label=gettext_lazy("Select value"),
        widget=UnfoldAdminSelectWidget,
    )
    keys = forms.CharField(
        label=gettext_lazy("Keys, one a line"),
        required=False,
        strip=False,
        widget=ForgetfulTextarea(
            {"rows": 10, "autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}
        ),
    )
    file = forms.FileField(
        label=gettext_lazy("Or a text file"),
        required=False,
        allow_empty_file=True,
        help_text=gettext_lazy("One key a line, in UTF-8 or GB18030, at most 7 MB."),
        widget=UnfoldAdminFileFieldWidget({"accept": ".txt,.csv,text/plain"}),
    )
    note = forms.CharField(
        label=gettext_lazy("Note"),
        max_length=120,
        required=False,
        help_text=gettext_lazy("Where they came from, for yourself. No keys here: this is not encrypted."),
        widget=UnfoldAdminTextInputWidget,
    )

    @sensitive_variables()
    def clean_keys(self) -> list[str]:
        return _lines(self.cleaned_data["keys"])

    @sensitive_variables()
    def clean_file(self) -> list[str]:
        upload = self.cleaned_data["file"]
        if upload and upload.size > MAX_FILE_BYTES:
            raise forms.ValidationError(
                _("The file is larger than 7 MB. Split it, and import the parts one after the other.")
            )
        return _lines(_decoded(upload.read())) if upload else []

    @sensitive_variables()
    def clean(self) -> None:
        given = (self.cleaned_data.get("keys") or []) + (self.cleaned_data.get("file") or [])
        if not self.errors and not any(line.strip() for line in given):
            self.add_error("keys", _("There was not a single key in it."))


@sensitive_post_parameters()
@sensitive_variables()
def key_import_page(request: HttpRequest, model_admin: ModelAdmin) -> HttpResponse:
    """Takes keys in and goes on to the batch that they became."""
    form = KeyImportForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        pasted, filed = form.cleaned_data["keys"], form.cleaned_data["file"]
        try:
            batch, report = import_keys(
                variant=form.cleaned_data["variant"],
                lines=[*pasted, *filed],
                imported_by=request.user.get_username(),
                note=form.cleaned_data["note"],
                now=db_now(),
            )
        except (Invalid, NotByKeys) as refused:
            form.add_error("keys", str(refused))
        else:
            _tell(request, report, pasted=len(pasted), both=bool(pasted and filed))
            return redirect("admin:inventory_keybatch_change", batch.pk)
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "title": _("Import keys"),
        "form": form,
    }
    return render(request, "admin/inventory/import_keys.html", context)


@sensitive_variables()
def _lines(text: str) -> list[str]:
    # Not splitlines(): a key may hold a character that Unicode calls a line end.
    return list(StringIO(text, newline=None))


@sensitive_variables()
def _decoded(data: bytes) -> str:
    if b"\0" not in data:
        for encoding in ("utf-8-sig", "gb18030"):
            try:
                return data.decode(encoding)
            except UnicodeDecodeError:
                continue
    # Raised outside the handlers: their exceptions carry the data.
    raise forms.ValidationError(_("This is not a text file. Save it as UTF-8 and try again."))


def _tell(request: HttpRequest, report: ImportReport, *, pasted: int, both: bool) -> None:
    """How it went, by line numbers only. With both sources, the file's lines are counted on their own."""
    count = report.imported
    messages.add_message(
        request,
        messages.SUCCESS if count else messages.WARNING,
        ngettext("%(count)d key imported.", "%(count)d keys imported.", count) % {"count": count},
    )

    def named(numbers: list[int]) -> str:
        shown = [
            _("file %(line)d") % {"line": number - pasted} if both and number > pasted else str(number)
            for number in numbers[:LINES_NAMED]
        ]
        return ", ".join(shown) + (" …" if len(numbers) > LINES_NAMED else "")

    if report.duplicate_lines:
        text = _("%(count)d lines left out as duplicates: %(lines)s")
        duplicates = report.duplicate_lines
        messages.warning(request, text % {"count": len(duplicates), "lines": named(duplicates)})
    if report.refused_lines:
        text = _("%(count)d lines refused as too long or not plain text: %(lines)s")
        refused = report.refused_lines
        messages.warning(request, text % {"count": len(refused), "lines": named(refused)})
