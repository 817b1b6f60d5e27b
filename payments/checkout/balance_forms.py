"""What a merchant enters about prepaid balances."""

import secrets
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminEmailInputWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from cardshop.common.money import CURRENCIES, MAX_MINOR, to_minor
from cardshop.shops.models import Shop

CREDIT, CORRECTION = "credit", "correction"


def _amount(label: Any, help_text: Any = "") -> forms.CharField:
    widget = UnfoldAdminTextInputWidget({"inputmode": "decimal", "autocomplete": "off"})
    return forms.CharField(label=label, help_text=help_text, max_length=20, widget=widget)


class EntryForm(forms.Form):
    """`reference` is the form's own number: sent twice, it happens once."""

    reference = forms.CharField(
        widget=forms.HiddenInput, max_length=64, initial=lambda: secrets.token_hex(16)
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=120,
        widget=UnfoldAdminTextInputWidget({"autocomplete": "off"}),
    )


class MoveForm(EntryForm):
    kind = forms.ChoiceField(
        label=gettext_lazy("What"),
        choices=[
            (CREDIT, gettext_lazy("The holder has paid in")),
            (CORRECTION, gettext_lazy("Correct a mistake")),
        ],
        widget=UnfoldAdminSelectWidget,
    )
    amount = _amount(gettext_lazy("Amount"), gettext_lazy("A correction may begin with a minus."))
    field_order = ["kind", "amount", "reason", "reference"]

    def __init__(self, *args: Any, currency: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.currency = currency

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        text = str(cleaned.get("amount", "")).strip()
        is_taken = text.startswith("-") and cleaned.get("kind") == CORRECTION
        minor = _minor(self, text[1:] if is_taken else text, self.currency)
        cleaned["amount_minor"] = -minor if is_taken else minor
        return cleaned


class CreditForm(forms.Form):
    """How much an account may owe; nothing ends its credit."""

    amount = _amount(
        gettext_lazy("Credit line"), gettext_lazy("What the account may owe at most; 0 is none.")
    )

    def __init__(self, *args: Any, currency: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.currency = currency

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        text = str(cleaned.get("amount", "")).strip()
        cleaned["credit_minor"] = _minor(self, text, self.currency, least=0)
        return cleaned


class TopUpForm(forms.Form):
    """`reference` is the form's own number: sent twice, it makes one link."""

    amount = _amount(gettext_lazy("Amount"), gettext_lazy("Makes a link at which it is paid."))
    reference = forms.CharField(
        widget=forms.HiddenInput, max_length=64, initial=lambda: secrets.token_hex(16)
    )

    def __init__(self, *args: Any, currency: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.currency = currency

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        text = str(cleaned.get("amount", "")).strip()
        cleaned["amount_minor"] = _minor(self, text, self.currency)
        return cleaned


class StatementForm(forms.Form):
    """`from` and `to` are the first and the last day."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, label in (("from", gettext_lazy("From")), ("to", gettext_lazy("To"))):
            self.fields[name] = forms.DateField(
                label=label, widget=UnfoldAdminTextInputWidget({"type": "date", "required": True})
            )


class OpenForm(EntryForm):
    shop = forms.ModelChoiceField(
        label=gettext_lazy("Shop"), queryset=Shop.objects.none(), widget=UnfoldAdminSelectWidget
    )
    holder = forms.CharField(
        label=gettext_lazy("Holder"),
        max_length=120,
        widget=UnfoldAdminTextInputWidget({"autocomplete": "off"}),
    )
    contact_email = forms.EmailField(
        label=gettext_lazy("Contact e-mail"),
        required=False,
        widget=UnfoldAdminEmailInputWidget({"autocomplete": "off"}),
    )
    currency = forms.ChoiceField(
        label=gettext_lazy("Currency"), choices=CURRENCIES, widget=UnfoldAdminSelectWidget
    )
    amount = _amount(gettext_lazy("First amount"))
    field_order = ["shop", "holder", "contact_email", "currency", "amount", "reason", "reference"]

    def __init__(self, *args: Any, shops: QuerySet[Shop], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offered: Any = self.fields["shop"]
        offered.queryset = shops

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        currency = cleaned.get("currency", "")
        cleaned["amount_minor"] = _minor(self, str(cleaned.get("amount", "")).strip(), currency)
        return cleaned


def _minor(form: forms.Form, text: str, currency: str, *, least: int = 1) -> int:
    """At least so much, else an error at the field."""
    try:
        minor = to_minor(text, currency)
    except (ValueError, KeyError):
        minor = -1
    if not least <= minor <= MAX_MINOR and "amount" not in form.errors:
        form.add_error("amount", _("Enter an amount such as %s.") % "50.00")
    return minor
