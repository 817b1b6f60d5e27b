"""Refusals and outages as pages or JSON, in the language of the request."""

import logging
import secrets
import sys
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.defaultfilters import filesizeformat
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from cardshop.common.errors import DomainError
from cardshop.common.problems import CONTENT_TYPE, TOLD_SO, problem
from cardshop.traffic.metrics import database_errors

logger = logging.getLogger(__name__)
SOONEST, LATEST = 3, 8  # seconds until it is worth another try: not for all of them at once

# What PostgreSQL calls a state of its own that will pass, and Django an error of the program: a read-only
# server (one that is taking over from another), a transaction ended for its length, and tables or columns
# that the next release has and the database not yet, or not any more.
_PASSING = {"25006", "25P03", "25P04", "42P01", "42703"}

MESSAGES: dict[str, str | Promise] = {
    "bad_request": _("We could not read that request."),
    "forbidden": _("This form came from another site, so nothing was done."),
    "stale_form": _("This form is out of date. Please go back, reload the page and try again."),
    "not_found": _("We could not find that."),
    "unavailable": _("The shop is catching its breath. Nothing was lost; please try again in a moment."),
    "overloaded": _("More people are here than we can serve at once. Those who are paying go first."),
    "server_error": _("Something went wrong on our side. Nothing was charged; please try again."),
}


def error_page(
    request: HttpRequest, status: int, code: str, message: str | Promise = "", field: str = ""
) -> HttpResponse:
    """One error, as JSON under /api/ and as a page elsewhere. Reads no database."""
    text = str(message or MESSAGES[code])
    again_in = try_again_in()
    response: HttpResponse
    if request.path_info.startswith("/api/"):
        fields = {field: [text]} if field else {}
        if request.path_info.startswith(TOLD_SO):
            said = problem(status, code, text, fields=fields)
            response = JsonResponse(said, status=status, content_type=CONTENT_TYPE)
        else:
            response = JsonResponse({"code": code, "message": text, "fields": fields}, status=status)
    else:
        context = {
            "status": status,
            "message": text,
            "again_in": again_in,
            "was_sent": was_sent(request.method),
        }
        response = render(request, "error.html", context, status=status)
    response["Cache-Control"] = "no-store"
    if status == 503:
        response["Retry-After"] = str(again_in)
    return response


def refusal_page(request: HttpRequest, refusal: DomainError) -> HttpResponse:
    response = error_page(request, refusal.http_status, refusal.code, refusal.message, refusal.field)
    if refusal.retry_after is not None:
        response["Retry-After"] = str(refusal.retry_after)
    return response


def try_again_in() -> int:
    """Seconds, drawn: a crowd that was told the same number would come back as one."""
    return SOONEST + secrets.randbelow(LATEST - SOONEST + 1)


def was_sent(method: str | None) -> bool:
    """Whether the request carried what somebody entered: no page may send that again by itself."""
    return method not in ("GET", "HEAD")


class ErrorPageMiddleware:
    """A refusal becomes its 4xx; a database that does not answer becomes a 503 with Retry-After."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, DomainError):
            return refusal_page(request, error)
        return _outage_page(request, error) if _is_outage(error) else None


def _is_outage(error: BaseException | None) -> bool:
    """Whether the database is away, overloaded or not ready, and not asked for something wrong."""
    # psycopg2 says no more than DatabaseError when the server dies under a query; what is derived
    # from it, such as IntegrityError, is a bug of ours.
    if isinstance(error, (OperationalError, InterfaceError)) or type(error) is DatabaseError:
        return True
    return isinstance(error, DatabaseError) and _state_of(error) in _PASSING


def _outage_page(request: HttpRequest, error: BaseException | None) -> HttpResponse:
    database_errors.inc()
    # Not what it says: PostgreSQL quotes the statement, with tokens in it.
    logger.error("database unavailable: %s %s", type(error).__name__, _state_of(error))
    return error_page(request, 503, "unavailable")


def _state_of(error: BaseException | None) -> str:
    """PostgreSQL's five characters for what went wrong; empty where it said nothing."""
    return getattr(error and error.__cause__, "pgcode", None) or ""


def too_large_page(request: HttpRequest, limit: int) -> HttpResponse:
    """`limit` in bytes."""
    message = gettext("That is too much at once: at most %(size)s are taken.")
    return error_page(request, 413, "too_large", message % {"size": filesizeformat(limit)})


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, RequestDataTooBig):
        return too_large_page(request, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    return error_page(request, 400, "bad_request")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_page(request, 403, "forbidden")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return error_page(request, 403, "stale_form")


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_page(request, 404, "not_found")


def server_error(request: HttpRequest) -> HttpResponse:
    error = sys.exc_info()[1]
    if _is_outage(error):  # outside of any view: a session that cannot be written
        return _outage_page(request, error)
    return error_page(request, 500, "server_error")
