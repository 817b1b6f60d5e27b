"""From the order page to the provider's: choose the channel, start the attempt, know the way back."""

from functools import partial

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse

from cardshop.common.clock import db_now
from orders.models import Order
from payments.checkout import prepaid
from payments.errors import UnknownChannel
from payments.models import PaymentAttempt
from payments.selectors import channel_called
from payments.services.attempts import start_attempt

RETURN_COOKIE_AGE = 2 * 3600


def pay(request: HttpRequest, order: Order, channel_slug: str, *, code: str = "") -> PaymentAttempt:
    """An attempt with its pay page. `code` is a balance's, where it is to be paid from one.

    Raises UnknownChannel and what pay_prepaid and start_attempt raise.
    """
    channel = channel_called(order.shop, channel_slug)
    if channel is None or not channel.is_enabled:
        raise UnknownChannel
    # Built on the host the buyer is using, so that the cookie below comes back with them.
    return_path = reverse("pay_return", args=["ATTEMPT"]).replace("ATTEMPT", "{attempt}")
    is_prepaid = channel.method == prepaid.METHOD
    start = partial(
        start_attempt,
        order,
        channel,
        return_url=f"{request.scheme}://{request.get_host()}{return_path}",
        client_ip=request.META["REMOTE_ADDR"],
        on_phone="Mobi" in request.headers.get("User-Agent", ""),
        payer=code if is_prepaid else "",
        now=db_now(),
    )
    return prepaid.pay_prepaid(request, order, code, start) if is_prepaid else start()


def remember_return(response: HttpResponseBase, order: Order, attempt: PaymentAttempt) -> None:
    """Give the browser the way back to the order, for the return address of this attempt alone."""
    response.set_cookie(
        "order",
        order.token,
        max_age=RETURN_COOKIE_AGE,
        path=reverse("pay_return", args=[attempt.out_trade_no]),
        secure=settings.SITE_SCHEME == "https",
        httponly=True,
        samesite="Lax",
    )
