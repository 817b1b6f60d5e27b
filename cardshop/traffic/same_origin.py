"""Cross-site posts to buyers' pages are refused by what the browser says of itself.

Buyers have no cookies, so there is no token to compare; Fetch Metadata and Origin tell where a form
came from. Both absent is accepted: old in-app browsers send neither, and neither does a program.
See https://www.w3.org/TR/fetch-metadata/.
"""

from collections.abc import Callable
from functools import update_wrapper
from typing import Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import csrf_exempt

from cardshop.common.errors import DomainError

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]
_SAFE = {"GET", "HEAD", "OPTIONS"}


class CrossSite(DomainError):
    code = "cross_site"
    http_status = 403
    message = _("This form came from another site, so nothing was done.")


def require_same_origin(request: HttpRequest) -> None:
    """Raises CrossSite when the browser says that another site sent this."""
    if request.method in _SAFE:
        return
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site:
        ours = site in ("same-origin", "none")
    else:
        # Compared as text: urlsplit() raises for some of what an Origin may be made to look like.
        ours = not origin or origin.partition("://")[2] == request.get_host()
    if not ours:
        raise CrossSite


def same_origin(view: View[P]) -> View[P]:
    """A buyer's page that may be posted to, from our own pages only."""

    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        require_same_origin(request)
        return view(request, *args, **kwargs)

    return csrf_exempt(update_wrapper(guarded, view))
