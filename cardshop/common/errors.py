"""Errors that a person caused and can understand: a code for programs, a sentence for people."""

from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from cardshop.common.gateway import WHILE_ASKING, for_this_second


class DomainError(Exception):
    """The request was understood and refused; nothing was changed.

    Subclasses set `code` (stable, for programs), `http_status`, `message` (translated), and
    `retry_after` (seconds) where the same request may do better later, and `extra` for what a
    program must know besides. `for_everybody`: whoever wants as much of the same thing is told the same.
    """

    code = "refused"
    http_status = 409
    message: str | Promise = _("This is not possible.")
    field = ""
    retry_after: int | None = None
    for_everybody = False
    extra: Mapping[str, object] = {}

    def __init__(self, message: str | Promise = "", *, field: str = "") -> None:
        self.message = message or self.message
        self.field = field or self.field
        super().__init__(self.message)

    def __str__(self) -> str:
        return str(self.message)

    def fields(self) -> dict[str, list[str]]:
        """What is wrong with which field."""
        return {self.field: [str(self)]} if self.field else {}

    def headers(self) -> dict[str, str]:
        """When to come again, and whether the gateway may say it for us."""
        said = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return {"Cache-Control": WHILE_ASKING, **said, **for_this_second()} if self.for_everybody else said


class Invalid(DomainError):
    """What was sent cannot be read as what was asked for."""

    code = "invalid"
    http_status = 400
    message = _("Please check what you entered.")


class NotHere(DomainError):
    """No such thing in this shop, or none that this person may see."""

    code = "not_found"
    http_status = 404
    message = _("We could not find that.")
