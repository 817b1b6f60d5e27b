"""The page that takes card keys in. Nothing of them ever comes back out of it, not even on errors."""

from datetime import date
from typing import Any

from django import forms
from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.timezone import localdate
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from unfold.admin import ModelAdmin
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from cardshop.common.clock import db_now
from cardshop.common.money import CURRENCIES, MAX_MINOR, to_minor
from cardshop.common.shop_scope import within
from inventory.imports.reading import NoSuchColumn
from inventory.imports.running import Terms, accept
from inventory.imports.spool import Blank, NotText, SpoolWriter, discard
from inventory.imports.uploads import SealedUpload, TooLarge
from inventory.models import Fulfilment, ImportFailure, KeyBatch, KeyUpload, Layout, Variant


class ForgetfulTextarea(UnfoldAdminTextareaWidget):
    """Never shows what was entered before."""

    def format_value(self, value: object) -> str:
        return ""


class KeyImportForm(forms.Form):
    variant = forms.ModelChoiceField(
        Variant.objects.none(),
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
        label=gettext_lazy("Or a file"),
        required=False,
        allow_empty_file=True,
        widget=UnfoldAdminFileFieldWidget({"accept": ".txt,.csv,text/plain,text/csv"}),
    )
    layout = forms.ChoiceField(
        label=gettext_lazy("What is in it"),
        choices=Layout,
        initial=Layout.LINES,
        widget=UnfoldAdminSelectWidget,
    )
    heading = forms.CharField(
        label=gettext_lazy("Column"),
        max_length=120,
        required=False,
        help_text=gettext_lazy("Of a CSV: the heading above the keys. Empty: the first column."),
        widget=UnfoldAdminTextInputWidget,
    )
    unit_cost = forms.CharField(
        label=gettext_lazy("Cost of a key"),
        max_length=20,
        required=False,
        help_text=gettext_lazy("What you paid for each, such as 5.20, so that profit can be shown."),
        widget=UnfoldAdminTextInputWidget,
    )
    cost_currency = forms.ChoiceField(
        label=gettext_lazy("Currency of the cost"),
        choices=[("", gettext_lazy("as the price")), *CURRENCIES],
        required=False,
        widget=UnfoldAdminSelectWidget,
    )
    expires_on = forms.DateField(
        label=gettext_lazy("Good until"),
        required=False,
        help_text=gettext_lazy("The last day on which these keys work. What expires first is sold first."),
        widget=UnfoldAdminTextInputWidget({"type": "date"}),
    )
    note = forms.CharField(
        label=gettext_lazy("Note"),
        max_length=120,
        required=False,
        help_text=gettext_lazy("Where they came from, for yourself. No keys here: this is not encrypted."),
        widget=UnfoldAdminTextInputWidget,
    )

    def __init__(self, *args: Any, variants: QuerySet[Variant], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offered: Any = self.fields["variant"]
        offered.queryset = variants
        size = {"size": f"{settings.IMPORT_FILE_LIMIT // 1024**2} MB"}
        self.fields["file"].help_text = _("TXT or CSV, in UTF-8 or GB18030, at most %(size)s.") % size

    def clean_file(self) -> SealedUpload | None:
        file: SealedUpload | None = self.cleaned_data["file"]
        if file is None:
            return None
        if isinstance(file.spooled, NotText):
            raise forms.ValidationError(_("This is not a text file. Save it as UTF-8 and try again."))
        if isinstance(file.spooled, Blank):
            raise forms.ValidationError(ImportFailure.EMPTY.label)
        if isinstance(file.spooled, TooLarge):
            size = {"size": f"{settings.IMPORT_FILE_LIMIT // 1024**2} MB"}
            raise forms.ValidationError(
                _("The file is larger than %(size)s. Split it, and import the parts one after the other.")
                % size
            )
        return file

    def clean_expires_on(self) -> date | None:
        expires_on: date | None = self.cleaned_data["expires_on"]
        if expires_on and expires_on < localdate():
            raise forms.ValidationError(_("This day is over."))
        return expires_on

    @sensitive_variables()
    def clean(self) -> None:
        pasted, file = bool(self.cleaned_data.get("keys", "").strip()), self.cleaned_data.get("file")
        if pasted and file:
            self.add_error("file", _("Either paste keys or choose a file: each is an import of its own."))
        elif not (pasted or file or self.errors):
            self.add_error("keys", ImportFailure.EMPTY.label)
        layout = self.cleaned_data.get("layout")
        if file and file.name.lower().endswith(".csv") and layout == Layout.LINES:
            self.add_error("layout", _("This is a CSV file. Say whether its first row has headings."))
        if self.cleaned_data.get("heading") and layout != Layout.CSV:
            self.add_error("heading", _("Only a CSV whose first row has headings has columns with names."))
        self._clean_cost()

    def _clean_cost(self) -> None:
        cost, variant = self.cleaned_data.get("unit_cost", "").strip(), self.cleaned_data.get("variant")
        self.cleaned_data["unit_cost_minor"] = None
        if not (cost and variant):
            self.cleaned_data["cost_currency"] = ""
            return
        currency = self.cleaned_data.get("cost_currency") or variant.currency
        self.cleaned_data["cost_currency"] = currency
        try:
            self.cleaned_data["unit_cost_minor"] = minor = to_minor(cost, currency)
        except ValueError:
            self.add_error("unit_cost", _("Enter an amount such as 9.90."))
        else:
            if minor > MAX_MINOR:
                self.add_error("unit_cost", _("Enter an amount such as 9.90."))

    def terms(self, imported_by: str) -> Terms:
        names = ("variant", "layout", "heading", "note", "unit_cost_minor", "cost_currency", "expires_on")
        return Terms(imported_by=imported_by, **{name: self.cleaned_data[name] for name in names})


@sensitive_post_parameters()
@sensitive_variables()
def key_import_page(request: HttpRequest, model_admin: ModelAdmin) -> HttpResponse:
    """Takes keys in and goes on to the batch that they become."""
    variants = Variant.objects.filter(fulfilment=Fulfilment.CARD_KEY).select_related("product", "shop")
    form = KeyImportForm(
        request.POST or None,
        request.FILES or None,
        initial={"variant": request.GET.get("variant")},
        variants=within(request, variants.order_by("product__name", "position", "pk")),
    )
    if request.method == "POST" and form.is_valid():
        try:
            batch = _accepted(form, request.user.get_username())
        except NoSuchColumn:
            form.add_error("heading", ImportFailure.NO_COLUMN.label)
        except Blank:
            form.add_error("keys", ImportFailure.EMPTY.label)
        else:
            return redirect("admin:inventory_keybatch_change", batch.pk)
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "title": _("Import keys"),
        "form": form,
    }
    return render(request, "admin/inventory/import_keys.html", context)


@sensitive_variables()
def _accepted(form: KeyImportForm, imported_by: str) -> KeyBatch:
    """Raises NoSuchColumn and Blank; then nothing is left of what was pasted, nor, later, of a file."""
    file, now = form.cleaned_data["file"], db_now()
    upload = file.spooled if file else _spooled(form.cleaned_data["keys"])
    try:
        return accept(upload, form.terms(imported_by), now=now)
    except BaseException:
        discard(upload)
        raise


@sensitive_variables()
def _spooled(text: str) -> KeyUpload:
    writer = SpoolWriter(now=db_now())
    writer.write(text.encode(errors="replace"))
    return writer.close()
