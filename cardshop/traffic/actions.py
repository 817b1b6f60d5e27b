"""How often one network address may act: ask for a pass, order, pay, cancel, correct.

Looking is not limited here: a buyer who waits looks every second, an address may be a whole neighbourhood,
and a look costs hardly more than to count it. Providers' notices are never limited: a provider cannot be told
from a stranger before its signature is read, and both may share an address; what is refused is not stored.
"""

from functools import update_wrapper

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from cardshop.common.errors import DomainError
from cardshop.traffic.addresses import address_key_of
from cardshop.traffic.buckets import Bucket, Taken
from cardshop.traffic.metrics import rate_limited
from cardshop.traffic.same_origin import P, View

_SAFE = {"GET", "HEAD", "OPTIONS"}


class TooOften(DomainError):
    code = "too_many_requests"
    http_status = 429
    message = _("Too much is coming from your network at once. Please wait a moment and try again.")

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__()


def count_action(request: HttpRequest) -> Taken | None:
    """Raises TooOften. None for what is no action, and where nobody counts: without Redis all go through."""
    who = address_key_of(request.META.get("REMOTE_ADDR", ""))
    if request.method in _SAFE or not who:
        return None
    taken = _bucket().take(who)
    if taken is not None and not taken.allowed:
        rate_limited.labels("actions").inc()
        raise TooOften(taken.retry_after)
    return taken


def counted(view: View[P]) -> View[P]:
    """A page whose posts are counted."""

    def counting(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        count_action(request)
        return view(request, *args, **kwargs)

    return update_wrapper(counting, view)


def rate_limit_headers(taken: Taken) -> dict[str, str]:
    """As draft-ietf-httpapi-ratelimit-headers names them."""
    bucket = _bucket()
    window = round(bucket.burst / bucket.per_second)
    return {
        "RateLimit-Policy": f'"actions";q={bucket.burst};w={window}',
        "RateLimit": f'"actions";r={taken.remaining};t={taken.full_in}',
    }


def _bucket() -> Bucket:
    return Bucket("actions", settings.ACTIONS_PER_SECOND, settings.ACTIONS_AT_ONCE)
