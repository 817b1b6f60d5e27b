"""Sessions, accounts and messages, around the administration only.

Buyers have none of them: their pages set no cookie, and a request of theirs is spared what it costs.
"""

from collections.abc import Awaitable

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

ADMINISTRATION = "/admin/"


class _ForStaff(MiddlewareMixin):
    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if request.path_info.startswith(ADMINISTRATION):
            return super().__call__(request)
        return self.get_response(request)


class StaffSessionMiddleware(_ForStaff, SessionMiddleware):
    pass


class StaffAuthenticationMiddleware(_ForStaff, AuthenticationMiddleware):
    pass


class StaffMessageMiddleware(_ForStaff, MessageMiddleware):
    pass
