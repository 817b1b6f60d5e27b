"""The form of a way to pay. Its secret goes in and never comes back out."""

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_variables
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminURLInputWidget


class ChannelForm(forms.ModelForm):  # type: ignore[type-arg]
    base_url = forms.URLField(
        label=gettext_lazy("Address of the provider"),
        help_text=gettext_lazy("Such as https://pay.example.com/"),
        assume_scheme="https",
        widget=UnfoldAdminURLInputWidget,
    )
    secret = forms.CharField(
        label=gettext_lazy("Secret"),
        required=False,
        max_length=2000,
        help_text=gettext_lazy(
            "Empty keeps the one that is stored. Enter it again when the provider's address changes."
        ),
        widget=UnfoldAdminPasswordWidget({"autocomplete": "new-password"}),
    )

    def clean_base_url(self) -> str:
        url = str(self.cleaned_data["base_url"])
        if not url.startswith("https://") and not settings.PROVIDERS_ON_LOOPBACK:
            raise forms.ValidationError(_("It has to begin with https://."))
        return url

    @sensitive_variables()
    def clean(self) -> dict[str, Any] | None:
        """The sealed secret opens only at the address it was entered for: nobody can send it elsewhere."""
        cleaned = super().clean() or self.cleaned_data
        moved = not self.instance.pk or "base_url" in self.changed_data
        if moved and not cleaned.get("secret"):
            self.add_error("secret", _("Enter the provider's secret."))
        return cleaned
