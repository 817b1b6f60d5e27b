"""What a merchant enters about an API key, of a reseller or of their own."""

from collections.abc import Collection, Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from cardshop.common.errors import Invalid
from cardshop.shops.models import Shop
from resellers.keys import read_networks
from resellers.models import BEARER_SCOPES, MerchantScope, Proof, Reseller, Scope


class ApiKeyForm(forms.Form):
    """`owner` is a reseller, `reseller:ID`, or a shop itself, `shop:ID`."""

    owner = forms.ChoiceField(label=gettext_lazy("Of whom"), widget=UnfoldAdminSelectWidget)
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
        label=gettext_lazy("It may"), widget=UnfoldAdminCheckboxSelectMultipleWidget
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

    def __init__(
        self,
        *args: Any,
        shops: Iterable[Shop],
        resellers: Iterable[Reseller],
        own_scopes: Collection[str],
        **kwargs: Any,
    ) -> None:
        """`own_scopes` are those that whoever fills it in may give to a key of the shop's own."""
        super().__init__(*args, **kwargs)
        self.owners: dict[str, Reseller | Shop] = {
            **{f"reseller:{each.pk}": each for each in resellers},
            **{f"shop:{each.pk}": each for each in shops},
        }
        owner, scopes = self._choices("owner"), self._choices("scopes")
        owner.choices = [(name, _named(each)) for name, each in self.owners.items()]
        offered = [choice for choice in MerchantScope.choices if choice[0] in own_scopes]
        scopes.choices = [(_("A reseller's"), Scope.choices), (_("Your own"), offered)]

    def _choices(self, name: str) -> Any:
        return self.fields[name]

    def clean_owner(self) -> Reseller | Shop:
        return self.owners[self.cleaned_data["owner"]]

    def clean_networks(self) -> str:
        try:
            return read_networks(self.cleaned_data["networks"])
        except Invalid as refused:
            raise forms.ValidationError(str(refused)) from None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        scopes, owner = cleaned.get("scopes", []), cleaned.get("owner")
        fitting = MerchantScope.values if isinstance(owner, Shop) else Scope.values
        if owner and not set(fitting).issuperset(scopes):
            self.add_error("scopes", _("A reseller's key may not do what your own may, nor the other way."))
        elif cleaned.get("proof") == Proof.BEARER and not BEARER_SCOPES.issuperset(scopes):
            self.add_error("scopes", _("Who may more than look has to sign: choose that above."))
        return cleaned


def _named(owner: Reseller | Shop) -> str:
    return _("Your own: %s") % owner if isinstance(owner, Shop) else str(owner)
