"""The browsable documentation of the API."""

from csp.constants import UNSAFE_INLINE
from csp.decorators import csp_update
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from drf_spectacular.views import SpectacularSwaggerSplitView

# The split view keeps its script in a request of its own; Swagger UI still sets style attributes.
_page = SpectacularSwaggerSplitView.as_view(url_name="schema")


@never_cache
@csp_update({"style-src": [UNSAFE_INLINE]})
def api_docs(request: HttpRequest) -> HttpResponse:
    """Like every page for buyers without a cookie: Swagger UI's CSRF token is of no use here."""
    response: HttpResponse = _page(request).render()
    request.META.pop("CSRF_COOKIE_NEEDS_UPDATE", None)
    return response
