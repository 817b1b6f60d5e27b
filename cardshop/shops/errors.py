"""What a shop refuses, and how it says so."""

from django.utils.translation import gettext_lazy as _

from cardshop.common.errors import DomainError


class ShopClosed(DomainError):
    """Until further notice. No 503: that is an outage, for which caches go on showing what they have."""

    code = "shop_closed"
    http_status = 404
    message = _("The shop is closed at the moment. Orders that were placed before are still served.")
