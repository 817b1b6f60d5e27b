"""What a merchant enters for a webhook."""

from typing import Any

from django import forms
from django.conf import settings
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from cardshop.common.outgoing import NotAllowed, require_callable
from cardshop.shops.models import Shop
from resellers.models import EventKind, Reseller
from resellers.models.webhook import ADDRESS_LENGTH


class WebhookForm(forms.Form):
    shop = forms.ModelChoiceField(
        label=gettext_lazy("Shop"),
        queryset=Shop.objects.none(),
        empty_label=None,
        widget=UnfoldAdminSelectWidget,
    )
    reseller = forms.ModelChoiceField(
        label=gettext_lazy("Reseller"),
        queryset=Reseller.objects.none(),
        required=False,
        help_text=gettext_lazy("Empty: your own, which hears of the whole shop."),
        widget=UnfoldAdminSelectWidget,
    )
    url = forms.CharField(
        label=gettext_lazy("Address"),
        max_length=ADDRESS_LENGTH,
        help_text=gettext_lazy("It has to begin with https://."),
        widget=UnfoldAdminTextInputWidget({"autocomplete": "off", "inputmode": "url"}),
    )
    kinds = forms.MultipleChoiceField(
        label=gettext_lazy("It hears of"),
        choices=EventKind.choices,
        initial=EventKind.values,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )

    def __init__(
        self, *args: Any, shops: QuerySet[Shop], resellers: QuerySet[Reseller], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        offered: Any = self.fields
        offered["shop"].queryset, offered["reseller"].queryset = shops, resellers

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        try:
            require_callable(url, private=settings.WEBHOOKS_PRIVATE_ADDRESSES)
        except NotAllowed as refused:
            raise forms.ValidationError(str(refused)) from None
        return url

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        shop, reseller = cleaned.get("shop"), cleaned.get("reseller")
        if shop and reseller and reseller.shop_id != shop.pk:
            self.add_error("reseller", _("This reseller buys from another shop."))
        return cleaned
