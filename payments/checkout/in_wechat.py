"""Paying inside WeChat, which first tells who the buyer is: a short visit to its login, unseen by the buyer.

The way back holds no secret, since WeChat knows it. A signed cookie says which order the visit is for, and
`state` that the visit is the one for which this browser was sent. Who the buyer is, is used and not kept.
"""

import secrets
from dataclasses import asdict, dataclass

import structlog
from django.conf import settings
from django.core import signing
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.crypto import constant_time_compare

from cardshop.common.clock import db_now
from orders.models import Order
from payments.errors import PayerUnknown, UnknownMethod
from payments.gateways import account_of, asks_who_pays, login_answers, payer_of, wechat
from payments.gateways.base import GatewayError, GatewayRefused
from payments.gateways.wechat_login import login_page
from payments.models import PaymentChannel
from payments.routing import router
from payments.selectors import channel_called
from payments.services.starting import channels_in_order

logger = structlog.get_logger(__name__)

COOKIE, SALT = "payer", "payments.in_wechat"
VISIT_SECONDS = 600
LONGEST_CODE = 512


@dataclass(frozen=True)
class Visit:
    """To WeChat's login, on behalf of an order."""

    order_token: str
    channel_slug: str
    state: str


def is_in_wechat(request: HttpRequest) -> bool:
    return "MicroMessenger" in request.headers.get("User-Agent", "")


def channels_to_try(request: HttpRequest, order: Order, method: str) -> list[PaymentChannel]:
    """In this order, where it has to be settled before the payment begins; elsewhere none. Raises
    UnknownMethod.

    Whose login is known not to answer comes last: without it there is only a code to scan.
    """
    if not is_in_wechat(request) or method not in wechat.DRIVER.methods:
        return []
    channels = channels_in_order(order, method, now=db_now())
    return sorted(channels, key=lambda channel: asks_who_pays(channel) and not login_answers(channel))


def channels_after(visit: Visit, order: Order) -> list[PaymentChannel]:
    """In this order: first the one that sent the buyer to the login. Raises UnknownMethod where it may not
    take this payment any more.
    """
    asked = channel_called(order.shop, visit.channel_slug)
    if asked is None:
        raise UnknownMethod
    channels = channels_in_order(order, asked.method, now=db_now())
    if asked not in channels or not asks_who_pays(asked):
        raise UnknownMethod
    return sorted(channels, key=lambda channel: channel != asked)


def to_login(request: HttpRequest, order: Order, channel: PaymentChannel) -> HttpResponse | None:
    """To WeChat's login, where the channel needs to know who pays, and its login is not known to be away."""
    if not (asks_who_pays(channel) and login_answers(channel)):
        return None
    account = account_of(channel)
    visit = Visit(order.token, channel.slug, secrets.token_hex(16))
    back = f"{request.scheme}://{request.get_host()}{reverse('pay_in_wechat')}"
    response = redirect(login_page(account, back=back, state=visit.state))
    response.status_code = 303
    response.set_cookie(
        COOKIE,
        signing.dumps(asdict(visit), salt=SALT),
        max_age=VISIT_SECONDS,
        path=reverse("pay_in_wechat"),
        secure=settings.SITE_SCHEME == "https",
        httponly=True,
        samesite="Lax",
    )
    return response


def visit_of(request: HttpRequest) -> Visit:
    """The visit from which this browser comes back, once. Raises PayerUnknown."""
    try:
        said = signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=VISIT_SECONDS)
    except signing.BadSignature:
        raise PayerUnknown from None
    visit = Visit(**said)
    if not constant_time_compare(request.GET.get("state", ""), visit.state):
        raise PayerUnknown
    # None where Redis did not answer: then it may be used again, and WeChat takes no code twice.
    if cache.add(f"visit:{visit.state}", 1, timeout=VISIT_SECONDS) is False:
        raise PayerUnknown
    return visit


def payer_and_channels(
    request: HttpRequest, channels: list[PaymentChannel]
) -> tuple[str, list[PaymentChannel]]:
    """Network. What the first one's login calls the buyer who came back, and the channels to try in this
    order. Raises PayerUnknown.

    A login that does not answer costs nobody the payment: nothing is known of the buyer then, and its channel
    comes last, as it only has a code to scan.
    """
    asked, *others = channels
    code = request.GET.get("code", "")
    if not 0 < len(code) <= LONGEST_CODE:
        raise PayerUnknown
    try:
        return payer_of(asked, code), channels
    except GatewayRefused as error:
        raise PayerUnknown from error
    except GatewayError as error:
        router.note_create_error(asked, now=db_now())
        logger.warning("login failed", channel=asked.slug, error=str(error))
        return "", [*others, asked]


def forget_visit(response: HttpResponse) -> None:
    response.delete_cookie(COOKIE, path=reverse("pay_in_wechat"), samesite="Lax")
