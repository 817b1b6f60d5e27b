"""What payments refuse, and how they say so."""

from django.utils.translation import gettext_lazy as _

from cardshop.common.errors import DomainError


class NotPayable(DomainError):
    code = "not_payable"
    http_status = 409
    message = _("This order cannot be paid any more.")


class TooLate(DomainError):
    code = "too_late"
    http_status = 409
    message = _("The hold is about to end, so no new payment can be started. Please order again.")


class UnknownMethod(DomainError):
    code = "unknown_method"
    http_status = 400
    field = "method"
    message = _("Please choose one of the ways to pay.")


class ChannelUnavailable(DomainError):
    code = "channel_unavailable"
    http_status = 503
    retry_after = 5
    message = _("This way to pay does not answer right now. Your hold stays; try again or choose another.")


class TooManyAttempts(DomainError):
    code = "too_many_attempts"
    http_status = 409
    message = _(
        "Payment was tried too often for this order. What you have begun can still be paid; otherwise cancel "
        "this order and place a new one."
    )


class TooManyPresses(DomainError):
    code = "too_many_presses"
    http_status = 429
    retry_after = 60
    message = _("That was too often in a short time. Please wait a few minutes; your hold stays.")


class PayerUnknown(DomainError):
    code = "payer_unknown"
    http_status = 400
    message = _("WeChat has not told us who is paying. Please go back to your order and try again.")


class NotCancellable(DomainError):
    code = "not_cancellable"
    http_status = 409
    message = _("This order can no longer be cancelled.")


class BalanceRefused(DomainError):
    code = "balance_refused"
    http_status = 409


class UnknownCode(BalanceRefused):
    """Also for a balance that is frozen: a code that does not work says nothing else."""

    code = "unknown_code"
    http_status = 400
    field = "code"
    message = _("This code is not known here. Please check it.")


class BookedBefore(BalanceRefused):
    code = "booked_before"
    message = _("This was sent, and booked, before.")


class OtherCurrency(BalanceRefused):
    code = "other_currency"
    field = "code"
    message = _("This balance is in another currency.")


class NotEnoughBalance(BalanceRefused):
    code = "not_enough_balance"
    field = "code"
    message = _("There is not enough on it.")


class CreditInUse(BalanceRefused):
    code = "credit_in_use"


class TooManyTries(DomainError):
    code = "too_many_tries"
    http_status = 429
    field = "code"
    retry_after = 60
    message = _("Too many codes were tried. Please wait a few minutes.")
