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


class CountedByKeys(DomainError):
    code = "counted_by_keys"
    message = _("Its stock is its keys: import some to have more.")


class NotByKeys(DomainError):
    code = "not_by_keys"
    message = _("Buyers of this variant get something else than card keys.")


class NotSoManyFree(DomainError):
    code = "not_so_many_free"

    def __init__(self, free: int) -> None:
        super().__init__(_("Only %(count)d of it are free.") % {"count": free}, field="quantity")


class Unlimited(DomainError):
    code = "unlimited"
    field = "variant"
    message = _("There is no end of it: nothing has to be set aside.")


class NoTextYet(DomainError):
    code = "no_text_yet"
    message = _("Enter the text that buyers get first.")


class NotReusable(DomainError):
    code = "not_reusable"
    message = _("This variant does not have one text for every buyer.")


class ShortPick(Exception):
    """Fewer free keys could be locked than the counter promised; others may hold them for a moment."""


class KeysDoNotOpen(ShortPick):
    """There are keys, but too few of them open: CARD_KEY_KEK is wrong or lacks a key, or rows are damaged."""
