"""What a merchant enters of a supplier. The secret goes in and never comes out."""

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_variables
from unfold.widgets import UnfoldAdminPasswordWidget

from cardshop.common.crypto import CannotOpen
from cardshop.common.outgoing import NotAllowed, require_callable
from inventory.models import Fulfilment
from suppliers.models import UNDER_WAY, SuppliedVariant, Supplier


class SupplierForm(forms.ModelForm):  # type: ignore[type-arg]
    """Calls go, and money is spent, where somebody has sent them who knows the secret."""

    instance: Supplier

    secret = forms.CharField(
        label=gettext_lazy("Secret"),
        max_length=200,
        required=False,
        widget=UnfoldAdminPasswordWidget({"autocomplete": "new-password"}),
        help_text=gettext_lazy("Empty keeps what is stored."),
    )

    def clean_base_url(self) -> str:
        url: str = self.cleaned_data["base_url"]
        try:
            require_callable(url, private=settings.SUPPLIERS_PRIVATE_ADDRESSES)
        except NotAllowed as refused:
            raise forms.ValidationError(str(refused)) from None
        asked = self.instance.orders.filter(status__in=UNDER_WAY) if self.instance.pk else None
        if asked is not None and "base_url" in self.changed_data and asked.exists():
            raise forms.ValidationError(_("Orders are under way there: make another supplier instead."))
        return url

    @sensitive_variables()
    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            self._take_secret(str(cleaned.get("secret") or ""))
        return cleaned

    @sensitive_variables()
    def _take_secret(self, given: str) -> None:
        """It is sealed once address and shop are known: what stays is sealed anew."""
        if not given:
            if not self.instance.pk or {"base_url", "key_name"} & set(self.changed_data):
                self.add_error("secret", _("Enter it: calls are to go there with this key."))
                return
            try:
                given = Supplier.objects.get(pk=self.instance.pk).secret
            except CannotOpen:
                self.add_error("secret", _("The stored one does not open. Enter it again."))
                return
        self._secret = given

    @sensitive_variables()
    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if not self.errors:
            self.instance.seal_secret(self._secret)
            if "key_name" in self.changed_data:
                self.instance.entries_after = "0"  # perhaps of another account


class SuppliedVariantForm(forms.ModelForm):  # type: ignore[type-arg]
    instance: SuppliedVariant

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        variant, supplier = cleaned.get("variant"), cleaned.get("supplier")
        if variant and variant.fulfilment != Fulfilment.MANUAL:
            self.add_error("variant", _("Let it be filled in by hand first: the supplier does it then."))
        if variant and variant.buyer_fields.exists():
            self.add_error("variant", _("Its buyers are asked something, which a person has to read."))
        if variant and supplier and variant.shop_id != supplier.shop_id:
            self.add_error("supplier", _("This supplier belongs to another shop."))
        return cleaned
