"""What members are refused. None of it says whether an address is known here."""

from django.utils.translation import gettext_lazy as _

from cardshop.common.errors import DomainError


class CodeOver(DomainError):
    code = "code_over"
    http_status = 410
    message = _(
        "This code is not good, or not any more. It works once, for 15 minutes, and only in the browser that"
        " asked for it."
    )


class TooManyLogIns(DomainError):
    code = "too_many_log_ins"
    http_status = 429
    message = _("That was tried too often. Please wait a while.")

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__()


class LogInBusy(DomainError):
    code = "log_in_busy"
    http_status = 503
    retry_after = 5
    message = _("Logging in is busy at the moment. Please try again in a few seconds.")


class IsMember(DomainError):
    code = "is_member"
    message = _("They are a member already.")


class TooManyMembers(DomainError):
    code = "too_many_members"
    message = _("There are as many members as there may be. Remove one first.")


class OwnersOnly(DomainError):
    code = "owners_only"
    http_status = 403
    message = _("Only owners of the account may do that.")


class FormOver(DomainError):
    code = "stale_form"
    http_status = 403
    message = _("This form is out of date. Please go back, reload the page and try again.")


class SentBefore(DomainError):
    code = "sent_before"
    message = _(
        "This form was sent before, and what it made is in the list. Its secret is shown once: make another"
        " one if nobody has written it down."
    )
