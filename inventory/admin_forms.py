"""What merchants may enter about products: money in major units, real pictures, one shop at a time."""

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from PIL import Image
from unfold.forms import PaginationInlineFormSet
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from cardshop.common.money import CURRENCIES, MAX_MINOR, to_minor, to_text
from inventory.models import Fulfilment, Selling

MAX_PICTURE_BYTES = 5 * 1024 * 1024
MAX_PICTURE_SIDE = 4000
ASKS_NOTHING_IN_LINE = gettext_lazy("Buyers in a line cannot be asked anything: sell it directly.")
EXTENSIONS = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp"}


class ProductForm(forms.ModelForm):  # type: ignore[type-arg]
    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or self.cleaned_data
        category, shop = (
            cleaned.get("category"),
            cleaned.get("shop") or (self.instance.shop_id and self.instance.shop),
        )
        if category and shop and category.shop_id != shop.pk:
            self.add_error("category", _("This category belongs to another shop."))
        return cleaned


class VariantForm(forms.ModelForm):  # type: ignore[type-arg]
    """`price` is text in major units; an empty currency means the shop's."""

    price = forms.CharField(
        label=gettext_lazy("Price"),
        max_length=20,
        help_text=gettext_lazy("Such as 9.90"),
        widget=UnfoldAdminTextInputWidget({"inputmode": "decimal"}),
    )
    currency = forms.ChoiceField(
        label=gettext_lazy("Currency"),
        choices=[("", gettext_lazy("the shop's currency")), *CURRENCIES],
        required=False,
        widget=UnfoldAdminSelectWidget,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "fulfilment" in self.fields:
            self.fields["fulfilment"].required = False
        if self.instance.pk:
            self.initial["price"] = to_text(self.instance.price_minor, self.instance.currency)
        else:
            self.initial["currency"] = ""

    def clean_fulfilment(self) -> str:
        """A page from before there was a choice leaves it as it is."""
        return str(self.cleaned_data["fulfilment"] or self.instance.fulfilment)

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or self.cleaned_data
        product = cleaned.get("product") or (self.instance.product_id and self.instance.product)
        if product:
            self.instance.shop_id = product.shop_id
        shop = self.instance.shop_id and self.instance.shop
        cleaned["currency"] = cleaned.get("currency") or (shop.currency if shop else "CNY")
        self._clean_price(cleaned)
        least, most = cleaned.get("min_quantity"), cleaned.get("max_quantity")
        if least == 0:
            self.add_error("min_quantity", _("At least 1."))
        elif least and most is not None and most < least:
            self.add_error("max_quantity", _("Not less than the least per order."))
        limit = cleaned.get("per_buyer_limit")
        if least and limit and limit < least:
            self.add_error("per_buyer_limit", _("Not less than the least per order: nobody could buy."))
        if cleaned.get("is_isolated") and cleaned.get("selling") == Selling.DIRECT:
            self.add_error("is_isolated", _("Only what is sold through a line can be isolated."))
        self._clean_times(cleaned)
        self._clean_promise(cleaned)
        if cleaned.get("selling") == Selling.QUEUED and self._asks_buyers():
            self.add_error("selling", ASKS_NOTHING_IN_LINE)
        return cleaned

    def _clean_times(self, cleaned: dict[str, Any]) -> None:
        begins, ends = cleaned.get("on_sale_from"), cleaned.get("on_sale_until")
        if begins and ends and ends <= begins:
            self.add_error("on_sale_until", _("Later than the beginning, please."))
        if (begins or ends) and cleaned.get("selling") == Selling.QUEUED:
            field = "on_sale_from" if begins else "on_sale_until"
            self.add_error(field, _("What is sold through a line opens and closes by its sale."))

    def _clean_promise(self, cleaned: dict[str, Any]) -> None:
        is_by_hand = cleaned.get("fulfilment", self.instance.fulfilment) == Fulfilment.MANUAL
        if is_by_hand and cleaned.get("fulfil_within_hours", 1) is None:
            self.add_error("fulfil_within_hours", _("Say within how many hours you fill it in."))

    def _asks_buyers(self) -> bool:
        """The form of the variant itself carries the questions, and looks at them as they will be."""
        if "fulfilment" in self.fields or not self.instance.pk:
            return False
        return bool(self.instance.buyer_fields.exists())

    def _clean_price(self, cleaned: dict[str, Any]) -> None:
        if "price" not in cleaned:
            return
        try:
            minor = to_minor(cleaned["price"].strip(), cleaned["currency"])
        except ValueError:
            self.add_error("price", _("Enter an amount such as 9.90."))
            return
        if not 0 < minor <= MAX_MINOR:
            self.add_error("price", _("Enter an amount above zero."))
            return
        self.instance.price_minor = minor

    def _get_validation_exclusions(self) -> set[str]:
        # The shop is not in the form, yet "one code per shop" has to be checked here, not by a 500. Of a new
        # product whose shop was not taken there is none.
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return excluded - {"shop"} if self.instance.shop_id else excluded


class BuyerFieldFormSet(PaginationInlineFormSet):
    """Only who buys directly is asked: answers must not travel through a line."""

    def clean(self) -> None:
        super().clean()
        asks = [form for form in self.forms if form.cleaned_data and not form.cleaned_data.get("DELETE")]
        if asks and self.instance.selling == Selling.QUEUED:
            raise forms.ValidationError(ASKS_NOTHING_IN_LINE)


class VariantFormSet(PaginationInlineFormSet):
    """Gives each variant the product's shop before its uniqueness is checked."""

    def _construct_form(self, i: int, **kwargs: Any) -> Any:
        form = super()._construct_form(i, **kwargs)
        form.instance.product = self.instance
        form.instance.shop_id = self.instance.shop_id
        return form


class PictureForm(forms.ModelForm):  # type: ignore[type-arg]
    def clean_file(self) -> Any:
        """A new upload has to be a picture that browsers show, whatever its name says."""
        upload = self.cleaned_data["file"]
        if not isinstance(upload, UploadedFile):
            return upload
        if (upload.size or 0) > MAX_PICTURE_BYTES:
            raise forms.ValidationError(_("At most 5 MB, please."))
        picture: Image.Image = upload.image  # type: ignore[attr-defined]  # set by forms.ImageField
        if picture.format not in EXTENSIONS:
            raise forms.ValidationError(_("Only PNG, JPEG and WebP pictures."))
        if max(picture.size) > MAX_PICTURE_SIDE:
            raise forms.ValidationError(_("At most 4000 pixels a side, please."))
        upload.name = f"picture.{EXTENSIONS[picture.format]}"
        return upload
