"""What may be entered about a shop."""

import re

from django import forms
from django.utils.translation import gettext as _

_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", re.ASCII)


class ShopForm(forms.ModelForm):  # type: ignore[type-arg]
    # Where the buyers' links and the providers' notices lead, what a price is worth, who is warned, and who
    # can give money back, or see keys, alone.
    decisive = frozenset({"host", "currency", "contact_email", "refunds_need_two", "key_export_needs_two"})

    def clean_host(self) -> str:
        """Lower case and bare, as requests are compared with it and mails are linked to it."""
        host = str(self.cleaned_data["host"]).strip().lower()
        if not _HOST.fullmatch(host):
            raise forms.ValidationError(_("Only the host name, without https://, port and path."))
        return host
