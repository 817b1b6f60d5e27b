"""The form of a way to pay: what its driver asks for, and nothing else. Secrets go in and never come out."""

from collections.abc import Collection
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.forms.models import ModelFormMetaclass
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_variables
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from cardshop.common.money import to_minor, to_text
from payments.gateways import seal_secrets, secrets_of
from payments.gateways.base import Unreachable
from payments.gateways.drivers import Driver, Setting
from payments.models import PaymentChannel

COLUMNS = {"merchant_id", "provider_key"}
LONGEST_MERCHANT_ID, LONGEST_KEY, LONGEST_SECRET, LONGEST_OPTION = 120, 2000, 5000, 500
MOST = 10**9  # minor units, of a fee or a limit; less than any of the columns can hold
AMOUNTS = {"fee_fixed": "fee_fixed_minor", "least": "least_minor", "most": "most_minor"}


class KeyField(forms.CharField):
    """Text of several lines, which browsers send with other line ends than it came with."""

    def to_python(self, value: Any) -> str:
        return str(super().to_python("\n".join(str(value or "").splitlines())))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(super().has_changed(self.to_python(initial), data))


def _amount(label: Any, help_text: Any) -> forms.CharField:
    widget = UnfoldAdminTextInputWidget({"inputmode": "decimal", "autocomplete": "off"})
    return forms.CharField(label=label, help_text=help_text, required=False, max_length=20, widget=widget)


class ChannelForm(forms.ModelForm):  # type: ignore[type-arg]
    """What every way to pay has; `form_for` adds the settings of a driver."""

    driver: Driver

    base_url = forms.URLField(
        label=gettext_lazy("Address of the provider"),
        help_text=gettext_lazy("Such as https://pay.example.com/"),
        assume_scheme="https",
        widget=UnfoldAdminTextInputWidget({"inputmode": "url", "autocomplete": "off"}),
    )
    method = forms.ChoiceField(
        label=gettext_lazy("Method"),
        help_text=gettext_lazy("What the buyer pays with. Of one method the shop takes the way that works."),
        widget=UnfoldAdminSelectWidget,
    )
    fee_percent = forms.DecimalField(
        label=gettext_lazy("Fee in percent"),
        help_text=gettext_lazy("What the provider keeps of each payment, such as 0.6."),
        required=False,
        min_value=0,
        max_value=100,
        decimal_places=2,
        widget=UnfoldAdminDecimalFieldWidget({"step": "0.01"}),
    )
    fee_fixed = _amount(
        gettext_lazy("Fixed fee"),
        gettext_lazy("What it keeps besides, in the shop's currency."),
    )
    least = _amount(
        gettext_lazy("Least amount"),
        gettext_lazy("Smaller orders are not offered it. Empty: no limit."),
    )
    most = _amount(
        gettext_lazy("Largest amount"), gettext_lazy("Larger orders are not offered it. Empty: no limit.")
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._secrets: dict[str, str] = {}
        channel: PaymentChannel = self.instance
        if not self.driver.has_address:
            del self.fields["base_url"]
        self._offer_methods()
        if channel.pk:
            self._show(channel)
            self._say_what_is_kept()
        else:
            channel.driver = self.driver.name
            self.initial.setdefault("base_url", self.driver.base_url)
            for setting in self.driver.settings:
                self.fields[field_name(setting)].required = setting.is_required

    def _offer_methods(self) -> None:
        field = self.fields.get("method")
        if isinstance(field, forms.ChoiceField):
            ours = {*self.driver.methods, *([self.instance.method] if self.instance.pk else [])}
            field.choices = [(name, label) for name, label in PaymentChannel.METHODS if name in ours]

    def _show(self, channel: PaymentChannel) -> None:
        currency = channel.shop.currency
        self.initial["fee_percent"] = Decimal(channel.fee_basis_points).scaleb(-2)
        for name, column in AMOUNTS.items():
            minor = getattr(channel, column)
            self.initial[name] = to_text(minor, currency) if minor else ""
        for setting in self.driver.settings:
            if can_be_removed(setting):
                self.initial[removal_name(setting)] = False
            if not setting.is_secret and setting.name not in COLUMNS:
                self.initial[field_name(setting)] = channel.options.get(setting.name, "")

    def _say_what_is_kept(self) -> None:
        for name in self.secret_fields & set(self.fields):
            field, kept = self.fields[name], _("Empty keeps what is stored.")
            field.help_text = f"{field.help_text} {kept}" if field.help_text else kept

    def clean_base_url(self) -> str:
        url = str(self.cleaned_data["base_url"])
        if not url.startswith("https://") and not settings.PROVIDERS_ON_LOOPBACK:
            raise forms.ValidationError(_("It has to begin with https://."))
        return url

    @sensitive_variables()
    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for name in self.sealed_with - set(self.changed_data):
            if self.instance.pk and name in cleaned:
                cleaned[name] = self.initial[name]  # to the letter, as the secrets are bound to it
        self._check_settings(cleaned)
        self._take_secrets(cleaned)
        self._read_money(cleaned)
        return cleaned

    @property
    def sealed_with(self) -> set[str]:
        """The fields that the secrets are bound to, as they are stored."""
        address = {"base_url"} if self.driver.has_address else set()
        return address | {field_name(s) for s in self.driver.settings if not s.is_secret}

    @property
    def identity(self) -> set[str]:
        """The fields that say where calls go, who is believed and who is paid."""
        return self.sealed_with - {field_name(s) for s in self.driver.settings if s.is_preference}

    @property
    def secret_fields(self) -> set[str]:
        return {field_name(setting) for setting in self.driver.settings if setting.is_secret}

    @property
    def has_new_secret(self) -> bool:
        """Or one less. What stays may be sealed anew all the same."""
        removed = {removal_name(setting) for setting in self.driver.settings if can_be_removed(setting)}
        return any(self.cleaned_data.get(name) for name in self.secret_fields | removed)

    @property
    def decisive(self) -> set[str]:
        return self.identity | self.secret_fields

    @sensitive_variables()
    def _check_settings(self, cleaned: dict[str, Any]) -> None:
        for setting in self.driver.settings:
            name = field_name(setting)
            if setting.check and cleaned.get(name):
                try:
                    setting.check(cleaned[name])
                except ValueError as error:
                    self.add_error(name, str(error))

    @sensitive_variables()
    def _take_secrets(self, cleaned: dict[str, Any]) -> None:
        """The sealed secrets open only for what they were entered with: nobody can send them elsewhere, or
        have somebody else's notices believed. Whoever changes any of that enters them all again. Preferences
        and single secrets may change alone; then they are sealed anew.
        """
        secrets = {s.name: cleaned.get(field_name(s), "") for s in self.driver.settings if s.is_secret}
        removed = {s.name for s in self.driver.settings if cleaned.get(removal_name(s))}
        if self.instance.pk and (
            any(secrets.values()) or removed or self.sealed_with & set(self.changed_data)
        ):
            try:
                stored = secrets_of(self.instance)
            except Unreachable:
                stored = {}
                self._demand(_("Enter them all: those that are stored cannot be opened."))
            kept = {name: text for name, text in stored.items() if text and name not in removed}
            if self.identity & set(self.changed_data):
                self._demand(_("Enter it again: it was for what you have changed."), also=kept)
            else:
                secrets = {name: text or kept.get(name, "") for name, text in secrets.items()}
        if any(secrets.values()):
            self._secrets = secrets

    def _demand(self, why: str, *, also: Collection[str] = ()) -> None:
        """All the secrets that there must be."""
        for setting in self.driver.settings:
            name = field_name(setting)
            is_missing = not self.cleaned_data.get(name) and name not in self.errors
            if setting.is_secret and (setting.is_required or setting.name in also) and is_missing:
                self.add_error(name, why)

    def _read_money(self, cleaned: dict[str, Any]) -> None:
        channel: PaymentChannel = self.instance
        shop = cleaned.get("shop") or (channel.shop_id and channel.shop)
        currency = shop.currency if shop else "CNY"
        cleaned["fee_percent"] = cleaned.get("fee_percent") or Decimal(0)
        channel.fee_basis_points = int(cleaned["fee_percent"].scaleb(2))
        for name, column in AMOUNTS.items():
            try:
                minor = _minor(cleaned.get(name) or "0", currency)
            except ValueError:
                self.add_error(name, _("Enter an amount such as 9.90."))
                continue
            setattr(channel, column, minor or (0 if name == "fee_fixed" else None))
            cleaned[name] = to_text(minor, currency) if minor else ""
        if channel.least_minor and channel.most_minor and channel.most_minor < channel.least_minor:
            self.add_error("most", _("Not less than the least amount."))

    @sensitive_variables()
    def save(self, commit: bool = True) -> PaymentChannel:
        channel: PaymentChannel = self.instance
        channel.options = {
            setting.name: text
            for setting in self.driver.settings
            if not setting.is_secret
            and setting.name not in COLUMNS
            and (text := self.cleaned_data[field_name(setting)])
        }
        if self._secrets:
            seal_secrets(channel, self._secrets)
        return super().save(commit)  # type: ignore[no-any-return]


def field_name(setting: Setting) -> str:
    """Apart from the channel's own fields, whatever the drivers' settings are called."""
    if setting.is_secret:
        return f"secret_{setting.name}"
    return setting.name if setting.name in COLUMNS else f"option_{setting.name}"


def removal_name(setting: Setting) -> str:
    """Of the box that takes away a secret which need not be there: what is left empty is kept."""
    return f"remove_{setting.name}"


def _minor(text: str, currency: str) -> int:
    if (minor := to_minor(text, currency)) > MOST:
        raise ValueError("more than anybody charges")
    return minor


def can_be_removed(setting: Setting) -> bool:
    return setting.is_secret and not setting.is_required


def form_for(driver: Driver) -> type[ChannelForm]:
    body: dict[str, Any] = {field_name(setting): _field_for(setting) for setting in driver.settings}
    body |= {removal_name(setting): _removal() for setting in driver.settings if can_be_removed(setting)}
    # Not `type`: Django's metaclass gathers the fields.
    made: type[ChannelForm] = ModelFormMetaclass("ChannelForm", (ChannelForm,), {**body, "driver": driver})  # type: ignore[assignment]
    return made


def _field_for(setting: Setting) -> forms.CharField:
    said: dict[str, Any] = {
        "label": setting.label,
        "help_text": setting.help_text,
        "required": setting.is_required and not setting.is_secret,  # see _take_secrets
    }
    widget: forms.Widget = UnfoldAdminTextInputWidget({"autocomplete": "off"})
    if setting.is_secret:
        widget = UnfoldAdminPasswordWidget({"autocomplete": "new-password"})
        return forms.CharField(**said, max_length=LONGEST_SECRET, widget=widget)
    if setting.name == "provider_key":
        return KeyField(**said, max_length=LONGEST_KEY, widget=UnfoldAdminTextareaWidget({"rows": 5}))
    longest = LONGEST_MERCHANT_ID if setting.name == "merchant_id" else LONGEST_OPTION
    return forms.CharField(**said, max_length=longest, widget=widget)


def _removal() -> forms.BooleanField:
    label = gettext_lazy("Remove the stored one")
    return forms.BooleanField(label=label, required=False, widget=UnfoldBooleanSwitchWidget)
