"""Refusals and outages as pages or JSON, in the language of the request."""

import logging
from collections.abc import Callable

from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from cardshop.common.errors import DomainError
from cardshop.traffic.metrics import database_errors

logger = logging.getLogger(__name__)
RETRY_AFTER_SECONDS = 5

MESSAGES: dict[str, str | Promise] = {
    "bad_request": _("We could not read that request."),
    "forbidden": _("This form came from another site, so nothing was done."),
    "stale_form": _("This form is out of date. Please go back, reload the page and try again."),
    "not_found": _("We could not find that."),
    "unavailable": _("The shop is catching its breath. Nothing was lost; please try again in a moment."),
    "server_error": _("Something went wrong on our side. Nothing was charged; please try again."),
}


def error_page(
    request: HttpRequest, status: int, code: str, message: str | Promise = "", field: str = ""
) -> HttpResponse:
    """One error, as JSON under /api/ and as a page elsewhere. Reads no database."""
    text = str(message or MESSAGES[code])
    response: HttpResponse
    if request.path_info.startswith("/api/"):
        fields = {field: [text]} if field else {}
        response = JsonResponse({"code": code, "message": text, "fields": fields}, status=status)
    else:
        response = render(request, "error.html", {"status": status, "message": text}, status=status)
    response["Cache-Control"] = "no-store"
    if status == 503:
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


class ErrorPageMiddleware:
    """A refusal becomes its 4xx; a database that does not answer becomes a 503 with Retry-After."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, DomainError):
            response = error_page(request, error.http_status, error.code, error.message, error.field)
            if error.retry_after is not None:
                response["Retry-After"] = str(error.retry_after)
            return response
        # psycopg2 says no more than DatabaseError when the server dies under a query; what is derived
        # from it, such as IntegrityError, is a bug of ours.
        if isinstance(error, (OperationalError, InterfaceError)) or type(error) is DatabaseError:
            database_errors.inc()
            logger.error("database unavailable: %s", type(error).__name__)
            return error_page(request, 503, "unavailable")
        return None


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_page(request, 400, "bad_request")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_page(request, 403, "forbidden")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return error_page(request, 403, "stale_form")


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_page(request, 404, "not_found")


def server_error(request: HttpRequest) -> HttpResponse:
    return error_page(request, 500, "server_error")
