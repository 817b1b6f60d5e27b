"""What orders refuse, and how they say so."""

from datetime import datetime

from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from cardshop.common.clock import seconds_until
from cardshop.common.errors import DomainError

OPENING_SOON = 60  # seconds; who asks long before the opening is not told to come back to the second


class NotForSale(DomainError):
    code = "not_for_sale"
    http_status = 404
    message = _("This is not for sale here.")


class WrongQuantity(DomainError):
    code = "wrong_quantity"
    http_status = 400
    field = "quantity"


class IdempotencyConflict(DomainError):
    """The same key came with another body. `order_token` is the order that it made before."""

    code = "idempotency_conflict"
    http_status = 409
    message = _("This form has already become an order. To order something else, open the product again.")

    def __init__(self, order_token: str) -> None:
        self.order_token = order_token
        super().__init__()


class TooManyCorrections(DomainError):
    code = "too_many_corrections"
    http_status = 429
    message = _("The e-mail of this order was changed too often. Please write to us.")


class NothingToMail(DomainError):
    code = "nothing_to_mail"
    message = _("There is nothing to mail yet.")


class TooManyResends(DomainError):
    code = "too_many_resends"
    http_status = 429
    retry_after = 3600
    message = _(
        "The mail was sent again several times already. Please look into the spam folder, or correct the"
        " e-mail."
    )


class LimitReached(DomainError):
    code = "limit_reached"
    http_status = 409
    message = _("You already have as many of this as one buyer may have.")


class TooManyUnpaid(DomainError):
    code = "too_many_unpaid"
    http_status = 409
    message = _("Please pay for the orders you have opened, or cancel them, before you open another.")


class SoldThroughLine(DomainError):
    code = "sold_through_line"
    http_status = 409
    message = _("This is sold through a line. Please open the product again to join it.")


class SalePaused(DomainError):
    code = "paused"
    for_everybody = True
    retry_after = 5
    http_status = 409
    message = _("The sale is paused for a moment. Nobody loses their place; please try again soon.")


class NotOpenYet(DomainError):
    code = "not_open"
    for_everybody = True
    http_status = 409
    message = _("The sale has not begun yet.")

    def __init__(self, retry_after: int, message: str = "") -> None:
        self.retry_after = retry_after
        super().__init__(message)


class NotOnSaleYet(NotOpenYet):
    """Of what is sold directly."""

    def __init__(self, opens_at: datetime, now: datetime) -> None:
        message = gettext("This goes on sale at %(time)s.") % {"time": _told(opens_at)}
        super().__init__(min(OPENING_SOON, seconds_until(opens_at, now)), message)


class FormRegistered(DomainError):
    code = "form_registered"
    field = "contact_email"
    message = _(
        "This form has registered another address already. Withdraw that registration, or open the product"
        " again."
    )


class SaleEnded(DomainError):
    code = "ended"
    for_everybody = True
    message = _("The sale has ended.")


class NotOnSaleAnyMore(SaleEnded):
    """Of what is sold directly."""

    def __init__(self, closed_at: datetime) -> None:
        super().__init__(gettext("This was on sale until %(time)s.") % {"time": _told(closed_at)})


class LineFull(DomainError):
    code = "line_full"
    for_everybody = True
    message = _("Everything is taken, and the line for what comes back is full.")


class FullUntilNextWave(LineFull):
    """`retry_after` leads to the next wave, or some way towards it."""

    message = _("Everything is taken for now, and the line is full. More will be released; please try then.")

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__()


class SoldOut(DomainError):
    code = "sold_out"
    for_everybody = True
    message = _("Sold out: everything has been paid for.")


class TooManyTickets(DomainError):
    code = "too_many_tickets"
    http_status = 429
    retry_after = 10
    message = _("You are in this line several times already.")


class ProofNeeded(DomainError):
    """With a challenge in its body: solve it, and send the same click again with the proof."""

    code = "proof_needed"
    http_status = 428
    message = _(
        "So many are trying at once that every browser has to do a little work first. "
        "If yours does not do it by itself, please switch on scripts, or try again in a minute."
    )

    def __init__(self, challenge: dict[str, object]) -> None:
        self.extra = {"challenge": challenge}
        super().__init__()


class UnknownTicket(DomainError):
    code = "unknown_ticket"
    http_status = 404
    message = _("We do not know this place in line. Please send the form again: you lose nothing by it.")


class LineUnavailable(DomainError):
    code = "unavailable"
    http_status = 503
    retry_after = 2
    message = _("The line is being set up again. Nothing was lost; please try again in a moment.")


class NothingFilledIn(DomainError):
    code = "nothing_filled_in"
    http_status = 400
    message = _("Nothing was entered.")


class FilledInMeanwhile(DomainError):
    code = "filled_in_meanwhile"
    message = _(
        "Nothing was saved: somebody has filled in some of this meanwhile, or its money is going back."
        " This is how it is now."
    )


class NotToBeReplaced(DomainError):
    code = "not_to_be_replaced"
    message = _("Nothing was replaced: somebody has replaced it meanwhile, or its money is going back.")


class KindIsFixed(DomainError):
    """What buyers get of a variant cannot be changed while somebody counts on it."""

    code = "kind_is_fixed"


def _told(moment: datetime) -> str:
    return date_format(localtime(moment), r"Y-m-d H:i (\U\T\CO)")
