"""What a member enters. Drawn by the templates, so only their fields are here."""

from datetime import datetime, time
from typing import Any

from django import forms
from django.conf import settings
from django.utils.timezone import localdate, make_aware
from django.utils.translation import gettext as _

from cardshop.common.errors import Invalid
from cardshop.common.money import to_minor
from cardshop.common.outgoing import NotAllowed, require_callable
from resellers.keys import read_networks
from resellers.models import BEARER_SCOPES, EventKind, MemberRole, Proof, Scope
from resellers.models.members import LONGEST_EMAIL
from resellers.models.webhook import ADDRESS_LENGTH


class KeyForm(forms.Form):
    label = forms.CharField(max_length=80)
    proof = forms.ChoiceField(choices=Proof.choices)
    scopes = forms.MultipleChoiceField(choices=Scope.choices)
    networks = forms.CharField(required=False, max_length=2000)
    expires_on = forms.DateField(required=False)

    def clean_networks(self) -> str:
        try:
            return read_networks(self.cleaned_data["networks"])
        except Invalid as refused:
            raise forms.ValidationError(str(refused)) from None

    def clean_expires_on(self) -> datetime | None:
        """The end of that day, where the shop is."""
        day = self.cleaned_data["expires_on"]
        if day is None:
            return None
        if day < localdate():
            raise forms.ValidationError(_("This day is over."))
        return make_aware(datetime.combine(day, time.max))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("proof") == Proof.BEARER and not BEARER_SCOPES.issuperset(cleaned.get("scopes", [])):
            self.add_error("scopes", _("Who may more than look has to sign: choose that above."))
        return cleaned


class TopUpForm(forms.Form):
    """`amount` in minor units; `form` is the form's own number: sent twice, it makes one page to pay at."""

    amount = forms.CharField(max_length=20)
    form = forms.CharField(max_length=64)

    def __init__(self, *args: Any, currency: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.currency = currency

    def clean_amount(self) -> int:
        try:
            return to_minor(self.cleaned_data["amount"].strip(), self.currency)
        except ValueError:
            raise forms.ValidationError(_("Enter an amount such as %s.") % "50.00") from None


class StatementForm(forms.Form):
    """`from` and `to` are the first and the last day."""

    to = forms.DateField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["from"] = forms.DateField()  # no name for an attribute


class WebhookForm(forms.Form):
    url = forms.CharField(max_length=ADDRESS_LENGTH)
    kinds = forms.MultipleChoiceField(choices=EventKind.choices)

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        try:
            require_callable(url, private=settings.WEBHOOKS_PRIVATE_ADDRESSES)
        except NotAllowed as refused:
            raise forms.ValidationError(str(refused)) from None
        return url


class MemberForm(forms.Form):
    email = forms.EmailField(max_length=LONGEST_EMAIL)
    name = forms.CharField(max_length=80, required=False)
    role = forms.ChoiceField(choices=MemberRole.choices)
