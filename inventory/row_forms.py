"""What may be typed into the list of variants."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from unfold.widgets import UnfoldAdminTextInputWidget

from cardshop.common.edited_lists import RowForm
from cardshop.common.money import MAX_MINOR, SYMBOLS, to_minor, to_text


class PriceField(forms.CharField):
    """Typed in major units, minor units (int) otherwise. The form says in which currency."""

    currency = "CNY"

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault(
            "widget", UnfoldAdminTextInputWidget({"inputmode": "decimal", "autocomplete": "off"})
        )
        super().__init__(max_length=20, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return to_text(value, self.currency) if isinstance(value, int) else value

    def to_python(self, value: Any) -> Any:
        text = str(super().to_python(value)).strip()
        if not text:
            return None
        try:
            minor = to_minor(text, self.currency)
        except ValueError:
            raise forms.ValidationError(_("Enter an amount such as 9.90.")) from None
        if not 0 < minor <= MAX_MINOR:
            raise forms.ValidationError(_("Enter an amount above zero."))
        return minor

    def run_validators(self, value: Any) -> None:
        """Its own, of texts, have nothing to say about a number."""

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(data) != initial)
        except forms.ValidationError:
            return True


class VariantRowForm(RowForm):
    price_minor = PriceField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        price: Any = self.fields["price_minor"]
        price.currency = self.instance.currency
        symbol = SYMBOLS[self.instance.currency]
        price.widget.attrs |= {"prefix": symbol, "style": f"padding-left: calc({len(symbol)}ch + 1.25rem)"}

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or self.cleaned_data
        limit = cleaned.get("per_buyer_limit")
        if limit and limit < self.instance.min_quantity:
            self.add_error("per_buyer_limit", _("Not less than the least per order: nobody could buy."))
        return cleaned
