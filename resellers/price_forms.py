"""What a merchant enters about resellers and their prices: percents and amounts as people write them."""

import json
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.forms import PaginationInlineFormSet
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminTextareaWidget

from cardshop.common.errors import Invalid
from inventory.row_forms import PriceField
from resellers.encryption import LONGEST, Jwk, read_public_key
from resellers.models import PriceList, Reseller

BASIS_POINTS = 100  # of a percent


class PriceListForm(forms.ModelForm):  # type: ignore[type-arg]
    """`discount` is in percent, with two decimals at most."""

    discount = forms.DecimalField(
        label=gettext_lazy("Discount in percent"),
        min_value=0,
        max_value=Decimal("99.99"),
        decimal_places=2,
        required=False,
        help_text=gettext_lazy("Off the shop's prices, for whatever has no price of its own below."),
        widget=UnfoldAdminDecimalFieldWidget,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["discount"] = Decimal(self.instance.discount_basis_points) / BASIS_POINTS

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        self.instance.discount_basis_points = int((cleaned.get("discount") or 0) * BASIS_POINTS)
        return cleaned


class LineForm(forms.ModelForm):  # type: ignore[type-arg]
    """A price for one variant, in the currency of its list."""

    price_list: PriceList

    def clean_variant(self) -> Any:
        variant = self.cleaned_data["variant"]
        if variant.shop_id != self.price_list.shop_id:
            raise forms.ValidationError(_("This variant belongs to another shop."))
        if variant.currency != self.price_list.currency:
            said = _("It is sold in %(its)s, and this list is in %(currency)s.")
            raise forms.ValidationError(
                said % {"its": variant.currency, "currency": self.price_list.currency}
            )
        return variant

    def validate_unique(self) -> None:
        """Against the lines on other pages too, which Django leaves out where a row hangs on another."""
        if self.errors:
            return
        try:
            self.instance.validate_constraints(exclude=self._get_validation_exclusions())  # type: ignore[attr-defined]
        except forms.ValidationError as taken:
            self.add_error(None, taken)


class TierForm(LineForm):
    unit_price_minor = PriceField(label=gettext_lazy("Price of one"))


class OnwardPriceForm(LineForm):
    least_minor = PriceField(label=gettext_lazy("Not below"))


class LineFormSet(PaginationInlineFormSet):
    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        form.price_list = self.instance
        form.fields["variant"].queryset = form.fields["variant"].queryset.select_related("product")
        for field in form.fields.values():
            if isinstance(field, PriceField):
                field.currency = self.instance.currency or "CNY"


class ResellerForm(forms.ModelForm):  # type: ignore[type-arg]
    """A list that says nothing in the reseller's currency would never be heeded."""

    instance: Reseller
    encrypted_to = forms.CharField(
        label=gettext_lazy("Card keys encrypted to"),
        required=False,
        max_length=LONGEST,
        help_text=gettext_lazy(
            "The reseller's public key, as PEM or JWK: their programs are told card keys encrypted to it. "
            "Empty: in clear."
        ),
        widget=UnfoldAdminTextareaWidget({"rows": 4, "spellcheck": "false"}),
        show_hidden_initial=True,  # what their program sets meanwhile is not overwritten by an old page
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if jwk := self.instance.encrypted_to:
            self.initial["encrypted_to"] = json.dumps(jwk)

    def clean_encrypted_to(self) -> Jwk | None:
        if "encrypted_to" not in self.changed_data:
            return self.instance.encrypted_to
        said = self.cleaned_data["encrypted_to"]
        try:
            return read_public_key(said) if said else None
        except Invalid as odd:
            raise forms.ValidationError(str(odd)) from odd

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        price_list = cleaned.get("price_list")
        shop = cleaned.get("shop") or (self.instance.shop_id and self.instance.shop)
        if price_list and shop:
            if price_list.shop_id != shop.pk:
                self.add_error("price_list", _("This price list belongs to another shop."))
            elif price_list.currency != self._currency(shop):
                self.add_error("price_list", _("This reseller pays in another currency."))
        return cleaned

    def _currency(self, shop: Any) -> str:
        """Of the balance; a new one is opened in the shop's."""
        return str(self.instance.balance.currency if self.instance.balance_id else shop.currency)
