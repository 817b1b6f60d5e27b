"""The form of a way to pay. Its secret goes in and never comes back out."""

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_variables
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminSelectWidget, UnfoldAdminURLInputWidget

from payments.gateways import DRIVERS, rsa

SIGN_WITH_RSA = {"epay_v2", "alipay_qr", "alipay_page"}


class ChannelForm(forms.ModelForm):  # type: ignore[type-arg]
    driver = forms.ChoiceField(
        label=gettext_lazy("Driver"),
        choices=[(driver.name, driver.label) for driver in DRIVERS.values()],
        widget=UnfoldAdminSelectWidget,
    )
    base_url = forms.URLField(
        label=gettext_lazy("Address of the provider"),
        help_text=gettext_lazy("Such as https://pay.example.com/"),
        assume_scheme="https",
        widget=UnfoldAdminURLInputWidget,
    )
    secret = forms.CharField(
        label=gettext_lazy("Secret"),
        required=False,
        max_length=5000,
        help_text=gettext_lazy(
            "The provider's key, or your own private key where the provider wants RSA. Empty keeps the one"
            " that is stored. Enter it again when the provider's address or public key changes."
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
        """The sealed secret opens only for the address and the public key that it was entered with: nobody
        can send it elsewhere, or have somebody else's notices believed.
        """
        cleaned = super().clean() or self.cleaned_data
        moved = not self.instance.pk or {"driver", "base_url", "provider_key"} & set(self.changed_data)
        if moved and not cleaned.get("secret"):
            self.add_error("secret", _("Enter the provider's secret."))
        if cleaned.get("driver") in SIGN_WITH_RSA:
            self._check_rsa(cleaned)
        return cleaned

    def _check_rsa(self, cleaned: dict[str, Any]) -> None:
        try:
            rsa.public_key(cleaned.get("provider_key", ""))
        except rsa.BadKey:
            self.add_error("provider_key", _("Enter the provider's public key: RSA, 2048 bits or more."))
        try:
            if secret := cleaned.get("secret"):
                rsa.private_key(secret)
        except rsa.BadKey:
            self.add_error("secret", _("That is no private key: RSA, 2048 bits or more."))
