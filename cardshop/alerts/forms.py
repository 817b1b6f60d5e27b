"""The form of a destination: what its driver asks for. Secrets go in and never come out."""

from typing import Any

from django import forms
from django.conf import settings
from django.forms.models import ModelFormMetaclass
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_variables
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from cardshop.alerts.drivers import Driver, Setting
from cardshop.alerts.models import Destination, Kind
from cardshop.common.crypto import CannotOpen
from cardshop.common.errors import DomainError
from cardshop.common.outgoing import require_callable

LONGEST = 500


class DestinationForm(forms.ModelForm):  # type: ignore[type-arg]
    """What every destination has; `form_for` adds the settings of a driver."""

    driver: Driver

    kinds = forms.MultipleChoiceField(
        label=gettext_lazy("About"),
        choices=Kind.choices,
        initial=Kind.values,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )
    language = forms.ChoiceField(
        label=gettext_lazy("Language"), choices=settings.LANGUAGES, widget=UnfoldAdminSelectWidget
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        destination: Destination = self.instance
        if not destination.pk:
            destination.driver = self.driver.name
            return
        for setting in self.driver.settings:
            if setting.is_secret:
                self.fields[setting.name].required = False
                self.fields[setting.name].help_text = _("Empty keeps what is stored.")
            elif setting.name != "address":
                self.initial[setting.name] = destination.options.get(setting.name, "")

    @property
    def has_new_secret(self) -> bool:
        """What stays is sealed anew all the same."""
        return bool(self.cleaned_data.get("secret"))

    @sensitive_variables()
    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for setting in self.driver.settings:
            self._check(setting, str(cleaned.get(setting.name) or ""))
        if bool(cleaned.get("quiet_from")) != bool(cleaned.get("quiet_until")):
            self.add_error("quiet_until", _("Enter both, or neither."))
        if not self.errors:
            self._take_settings(cleaned)
        return cleaned

    @sensitive_variables()
    def _check(self, setting: Setting, value: str) -> None:
        try:
            if setting.name == "address":
                require_callable(value, private=settings.ALERTS_PRIVATE_ADDRESSES)
            if setting.check and value:
                setting.check(value)
        except (ValueError, DomainError) as refused:
            self.add_error(setting.name, str(refused))

    @sensitive_variables()
    def _take_settings(self, cleaned: dict[str, Any]) -> None:
        """Who is told, and where, is decided by whoever knows the credential."""
        destination: Destination = self.instance
        secret = self.driver.secret
        given = str(cleaned.get("secret") or "")
        if secret and not given and destination.pk:
            if "address" in self.changed_data:
                self.add_error("secret", _("Enter it again: messages are to go elsewhere."))
                return
            try:
                given = Destination.objects.get(pk=destination.pk).secret
            except CannotOpen:
                self.add_error("secret", _("The stored one does not open. Enter it again."))
                return
        named = {setting.name for setting in self.driver.settings} - {"address", "secret"}
        destination.options = {name: cleaned[name] for name in sorted(named)}
        destination.address = str(cleaned.get("address") or "")
        destination.seal_secret(given)


def form_for(driver: Driver) -> type[DestinationForm]:
    fields: dict[str, Any] = {setting.name: _field(setting) for setting in driver.settings}
    # Not `type`: Django's metaclass gathers the fields.
    made: type[DestinationForm] = ModelFormMetaclass(  # type: ignore[assignment]
        "DestinationForm", (DestinationForm,), {**fields, "driver": driver}
    )
    return made


def _field(setting: Setting) -> forms.CharField:
    widget: forms.Widget = UnfoldAdminTextInputWidget({"autocomplete": "off"})
    if setting.is_secret:
        widget = UnfoldAdminPasswordWidget({"autocomplete": "new-password"})
    said: dict[str, Any] = {"label": setting.label, "help_text": setting.help_text}
    return forms.CharField(**said, initial=setting.initial, max_length=LONGEST, widget=widget)
