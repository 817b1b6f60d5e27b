"""The request's edge: its log line, its size, its language."""

import re
import secrets
import time
from collections.abc import Callable

import structlog
from csp.middleware import CSPMiddleware
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import translation

from cardshop.common.tracing import name_span
from cardshop.traffic.addresses import client_address
from cardshop.traffic.errors import too_large_page
from cardshop.traffic.metrics import NO_ROUTE, count_request
from cardshop.traffic.staff import ADMINISTRATION

Next = Callable[[HttpRequest], HttpResponse]
logger = structlog.get_logger("cardshop.request")

_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{8,64}", re.ASCII)


class RequestLogMiddleware:
    """One line a request, and one count, by route and never by path: order links carry their token there."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-Id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started = time.monotonic()
        response = self.get_response(request)
        response["X-Request-Id"] = request_id
        route = request.resolver_match.route if request.resolver_match else NO_ROUTE
        seconds = time.monotonic() - started
        count_request(route=route, method=request.method or "", status=response.status_code, seconds=seconds)
        name_span(f"{request.method} {route}")
        logger.info(
            "request",
            method=request.method,
            route=route,
            status=response.status_code,
            ms=round(seconds * 1000),
        )
        return response


class ClientAddressMiddleware:
    """REMOTE_ADDR becomes the client's address; see `client_address`."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.META["REMOTE_ADDR"] = client_address(request.META)
        return self.get_response(request)


class PagePolicyMiddleware(CSPMiddleware):
    """A Content-Security-Policy for pages. To what is no page it means nothing, and it is long."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if not response.headers.get("Content-Type", "").startswith("text/html"):
            return response
        return super().process_response(request, response)


class BodyLimitMiddleware:
    """Refuses a body by its announced length before a byte of it is read."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        announced = request.META.get("CONTENT_LENGTH") or "0"
        limit = body_limit_of(request.path_info)
        if not announced.isdigit() or int(announced) > limit:
            response = too_large_page(request, limit)
            response["Connection"] = "close"
            return response
        return self.get_response(request)


def body_limit_of(path: str) -> int:
    """Bytes."""
    if path == settings.IMPORT_PAGE or re.fullmatch(settings.IMPORT_API, path):
        return settings.IMPORT_BODY_LIMIT
    return settings.ADMIN_BODY_LIMIT if path.startswith(ADMINISTRATION) else settings.BODY_LIMIT


def language_of_path(path: str) -> str:
    return "en" if path.startswith("/en/") else settings.LANGUAGE_CODE


class LanguageMiddleware:
    """Buyers' pages choose their language by address, so that caches can hold them without cookies.

    English lives at /en/, Chinese everywhere else; the API and the admin ask Accept-Language.
    """

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        negotiated = request.path_info.startswith(("/api/", ADMINISTRATION))
        if negotiated:
            language = translation.get_language_from_request(request)
        else:
            language = language_of_path(request.path_info)
        with translation.override(language):
            request.LANGUAGE_CODE = language
            response = self.get_response(request)
        response.headers.setdefault("Content-Language", language)
        if negotiated:
            response["Vary"] = ", ".join(filter(None, [response.get("Vary"), "Accept-Language"]))
        return response
