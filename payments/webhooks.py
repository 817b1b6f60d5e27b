"""`/pay/notify/<channel>/`: where providers say that money came."""

import structlog
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from cardshop.common.clock import db_now
from cardshop.common.errors import NotHere
from cardshop.shops.middleware import shop_of
from payments.gateways.base import BadNotice, CannotTell, RawCall
from payments.metrics import notices
from payments.selectors import channel_called
from payments.services.notices import receive_notice
from payments.services.refused import note_refused

logger = structlog.get_logger(__name__)


# What providers sign, or sign with, is in headers that begin with one of these.
SIGNED_HEADERS = ("wechatpay-", "stripe-", "paypal-")
LONGEST_HEADER = 2000  # characters
COME_AGAIN = "5"  # seconds


@never_cache
@csrf_exempt
@require_http_methods(["GET", "POST"])
def notify(request: HttpRequest, channel_slug: str) -> HttpResponse:
    """Acknowledge only once the call is ours for good; until then the provider comes again."""
    channel = channel_called(shop_of(request), channel_slug)
    if channel is None:
        raise NotHere
    call = RawCall(
        method=request.method or "",
        query=request.META.get("QUERY_STRING", "").replace("\0", "\ufffd"),
        body=request.body.decode(errors="replace").replace("\0", "\ufffd"),
        headers=_signed_headers(request),
    )
    try:
        acknowledgement = receive_notice(channel, call, now=db_now())
    except BadNotice as error:
        notices.labels(channel.slug, "cannot_tell" if isinstance(error, CannotTell) else "bad").inc()
        # Neither query nor body: they belong to a stranger, or hold a buyer's data.
        logger.warning("notice refused", channel=channel.slug, why=str(error))
        note_refused(channel, call, why=str(error), address=request.META.get("REMOTE_ADDR", ""))
        if isinstance(error, CannotTell):
            return HttpResponse(
                "fail", status=503, content_type="text/plain", headers={"Retry-After": COME_AGAIN}
            )
        return HttpResponse("fail", status=400, content_type="text/plain")
    return HttpResponse(acknowledgement, content_type="text/plain")


def _signed_headers(request: HttpRequest) -> dict[str, str]:
    return {
        name.lower(): value[:LONGEST_HEADER]
        for name, value in request.headers.items()
        if name.lower().startswith(SIGNED_HEADERS)
    }
