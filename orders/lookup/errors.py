"""What look-ups refuse. None of it says whether there is such an order."""

from django.utils.translation import gettext_lazy as _

from cardshop.common.errors import DomainError


class NoSuchOrder(DomainError):
    code = "no_such_order"
    http_status = 404
    message = _(
        "We found no order that fits both. Please check the number, and whether you ordered with another"
        " e-mail."
    )


class LinkOver(DomainError):
    code = "link_over"
    http_status = 410
    message = _("This link is no longer valid. Ask for a new mail below; its links open your orders again.")


class TooManyLookups(DomainError):
    code = "too_many_lookups"
    http_status = 429
    message = _("That was tried too often. Please wait a while, or open the link from one of our mails.")

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__()


class TooManyMails(TooManyLookups):
    code = "too_many_mails"
    message = _(
        "Mails were asked for this address several times already. Please look into the inbox and the spam"
        " folder, and try again in an hour."
    )


class TooManyPasswords(TooManyLookups):
    code = "too_many_passwords"
    message = _("The password of this order was set too often. Please wait an hour.")


class LookupBusy(DomainError):
    code = "lookup_busy"
    http_status = 503
    retry_after = 5
    message = _("Looking up is busy at the moment. Please try again in a few seconds.")
