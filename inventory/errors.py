"""What inventory refuses, and how it says so."""

from django.utils.translation import gettext_lazy as _

from cardshop.common.errors import DomainError


class OutOfStock(DomainError):
    code = "out_of_stock"
    http_status = 409
    message = _("There are not enough left. Nothing was ordered.")


class StockBusy(DomainError):
    """So many claim this stock at once that the optimistic strategy gave up. Trying again is right."""

    code = "stock_busy"
    http_status = 503
    retry_after = 2
    message = _("Very many are buying this right now. Nothing was ordered; please try again in a moment.")


class ShortPick(Exception):
    """Fewer free keys could be locked than the counter promised; others may hold them for a moment."""


class KeysDoNotOpen(ShortPick):
    """There are keys, but too few of them open: CARD_KEY_KEK is wrong or lacks a key, or rows are damaged."""
