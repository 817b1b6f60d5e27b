"""What inventory refuses, and how it says so."""

from django.utils.translation import gettext_lazy as _

from cardshop.common.errors import DomainError


class OutOfStock(DomainError):
    code = "out_of_stock"
    http_status = 409
    message = _("There are not enough left. Nothing was ordered.")


class ShortPick(Exception):
    """Fewer free keys could be locked than the counter promised; others may hold them for a moment."""
