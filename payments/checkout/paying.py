"""From the order page to the provider's: start the payment, know the way back."""

from collections.abc import Sequence
from functools import partial

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse

from cardshop.common.clock import db_now
from orders.models import Order
from payments.checkout import prepaid
from payments.checkout.in_wechat import is_in_wechat
from payments.checkout.limits import count_press
from payments.errors import UnknownMethod
from payments.models import PaymentAttempt, PaymentChannel
from payments.selectors import channels_for
from payments.services.attempts import BuyersWay, start_attempt
from payments.services.starting import start_payment

RETURN_COOKIE_AGE = 2 * 3600


def pay(
    request: HttpRequest,
    order: Order,
    method: str,
    *,
    code: str = "",
    channels: Sequence[PaymentChannel] = (),
    payer: str = "",
) -> PaymentAttempt:
    """An attempt with its pay page. `code` is a balance's, where it is to be paid from one; `payer` is what
    WeChat calls the buyer, where it was asked; `channels` are those to try, in order, where that
    is settled.

    Raises UnknownMethod, TooManyPresses, and what pay_prepaid and start_payment raise.
    """
    way, now = _way_of(request, payer=code if method == prepaid.METHOD else payer), db_now()
    if method != prepaid.METHOD:
        count_press(request, order)
        return start_payment(order, method, way, channels=channels, now=now)
    if not (channels := channels_for(order, method)):
        raise UnknownMethod
    start = partial(start_attempt, order, channels[0], **way, now=now)
    return prepaid.pay_prepaid(request, order, code, start)


def _way_of(request: HttpRequest, *, payer: str) -> BuyersWay:
    # Built on the host the buyer is using, so that the cookie below comes back with them.
    return_path = reverse("pay_return", args=["ATTEMPT"]).replace("ATTEMPT", "{attempt}")
    return {
        "return_url": f"{request.scheme}://{request.get_host()}{return_path}",
        "client_ip": request.META["REMOTE_ADDR"],
        "on_phone": "Mobi" in request.headers.get("User-Agent", ""),
        "in_wechat": is_in_wechat(request),
        "payer": payer,
    }


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
