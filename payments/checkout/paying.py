"""From the order page to the provider's: choose the channel, start the attempt, know the way back."""

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse

from cardshop.common.clock import db_now
from orders.models import Order
from payments.checkout.in_wechat import is_in_wechat
from payments.errors import UnknownChannel
from payments.models import PaymentAttempt
from payments.selectors import channel_called
from payments.services.attempts import start_attempt

RETURN_COOKIE_AGE = 2 * 3600


def pay(request: HttpRequest, order: Order, channel_slug: str, *, payer: str = "") -> PaymentAttempt:
    """An attempt with its pay page; `payer` is what WeChat calls the buyer, where it was asked.

    Raises UnknownChannel and what start_attempt raises.
    """
    channel = channel_called(order.shop, channel_slug)
    if channel is None or not channel.is_enabled:
        raise UnknownChannel
    # Built on the host the buyer is using, so that the cookie below comes back with them.
    return_path = reverse("pay_return", args=["ATTEMPT"]).replace("ATTEMPT", "{attempt}")
    return start_attempt(
        order,
        channel,
        return_url=f"{request.scheme}://{request.get_host()}{return_path}",
        client_ip=request.META["REMOTE_ADDR"],
        on_phone="Mobi" in request.headers.get("User-Agent", ""),
        in_wechat=is_in_wechat(request),
        payer=payer,
        now=db_now(),
    )


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
