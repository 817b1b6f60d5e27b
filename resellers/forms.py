"""What a merchant enters about a reseller's API key."""

from ipaddress import ip_network
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from resellers.models import BEARER_SCOPES, Proof, Reseller, Scope


class ApiKeyForm(forms.Form):
    reseller = forms.ModelChoiceField(
        label=gettext_lazy("Reseller"), queryset=Reseller.objects.none(), widget=UnfoldAdminSelectWidget
    )
    label = forms.CharField(
        label=gettext_lazy("Used by"),
        max_length=80,
        help_text=gettext_lazy("For yourself: which program has it."),
        widget=UnfoldAdminTextInputWidget({"autocomplete": "off"}),
    )
    proof = forms.ChoiceField(
        label=gettext_lazy("Proof"), choices=Proof.choices, widget=UnfoldAdminSelectWidget
    )
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("It may"), choices=Scope.choices, widget=UnfoldAdminCheckboxSelectMultipleWidget
    )
    networks = forms.CharField(
        label=gettext_lazy("From these addresses only"),
        required=False,
        max_length=2000,
        help_text=gettext_lazy("Addresses or networks, one a line. Empty: from everywhere."),
        widget=UnfoldAdminTextareaWidget({"rows": 3}),
    )
    expires_at = forms.SplitDateTimeField(
        label=gettext_lazy("Works until"),
        required=False,
        help_text=gettext_lazy("Empty: until it is revoked."),
        widget=UnfoldAdminSplitDateTimeWidget,
    )

    def __init__(self, *args: Any, resellers: QuerySet[Reseller], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offered: Any = self.fields["reseller"]
        offered.queryset = resellers

    def clean_networks(self) -> str:
        """One a line, as callers are compared with them."""
        return "\n".join(_network(line) for line in self.cleaned_data["networks"].split())

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("proof") == Proof.BEARER and not BEARER_SCOPES.issuperset(cleaned.get("scopes", [])):
            self.add_error("scopes", _("Who may buy or read card keys has to sign: choose that above."))
        return cleaned


def _network(line: str) -> str:
    try:
        return str(ip_network(line, strict=False))
    except ValueError:
        raise forms.ValidationError(_("%s is neither an address nor a network.") % line) from None
