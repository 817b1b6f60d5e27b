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


class UnknownChannel(DomainError):
    code = "unknown_channel"
    http_status = 400
    field = "channel"
    message = _("Please choose one of the ways to pay.")


class ChannelUnavailable(DomainError):
    code = "channel_unavailable"
    http_status = 503
    message = _("This way to pay does not answer right now. Your hold stays; try again or choose another.")


class PayerUnknown(DomainError):
    code = "payer_unknown"
    http_status = 400
    message = _("WeChat has not told us who is paying. Please go back to your order and try again.")


class NotCancellable(DomainError):
    code = "not_cancellable"
    http_status = 409
    message = _("This order can no longer be cancelled.")
