"""How long a batch is good for, in the merchant's words."""

from datetime import date, timedelta

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

SOON = timedelta(days=30)


def expiry_in_words(expires_on: date | None, today: date) -> str:
    """The date, with a warning once it is near; `expires_on` itself is still good."""
    if expires_on is None:
        return "-"
    left = expires_on - today
    if left > SOON:
        return str(expires_on)
    if left < timedelta():
        words = _("expired")
    elif left:
        words = ngettext("expires soon, in %(count)d day", "expires soon, in %(count)d days", left.days)
    else:
        words = _("expires today")
    return f"{expires_on} ({words % {'count': left.days}})"
