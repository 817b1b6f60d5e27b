"""Paying inside WeChat, which first tells who the buyer is: a short visit to its login, unseen by the buyer.

The way back holds no secret, since WeChat knows it. A signed cookie says which order the visit is for, and
`state` that the visit is the one for which this browser was sent. Who the buyer is, is used and not kept.
"""

import secrets
from dataclasses import asdict, dataclass

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.crypto import constant_time_compare

from cardshop.common.clock import db_now
from orders.models import Order
from payments.errors import ChannelUnavailable, PayerUnknown
from payments.gateways import account_of, payer_of, wechat
from payments.gateways.base import GatewayError, GatewayRefused
from payments.gateways.wechat_login import has_login, login_page
from payments.models import PaymentChannel
from payments.services.starting import channels_in_order

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


def to_login(request: HttpRequest, order: Order, method: str) -> HttpResponse | None:
    """To WeChat's login, where the channel that is best needs to know who pays. Raises UnknownMethod,
    ChannelUnavailable.
    """
    if not is_in_wechat(request) or method not in wechat.DRIVER.methods:
        return None
    channel = channels_in_order(order, method, now=db_now())[0]
    if channel.driver != wechat.DRIVER.name:
        return None
    try:
        account = account_of(channel)
    except GatewayError as error:
        raise ChannelUnavailable from error
    if not has_login(account):
        return None
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
    """The visit from which this browser comes back. Raises PayerUnknown."""
    try:
        said = signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=VISIT_SECONDS)
    except signing.BadSignature:
        raise PayerUnknown from None
    visit = Visit(**said)
    if not constant_time_compare(request.GET.get("state", ""), visit.state):
        raise PayerUnknown
    return visit


def payer(request: HttpRequest, channel: PaymentChannel) -> str:
    """Network. What WeChat calls the buyer who came back. Raises PayerUnknown, ChannelUnavailable."""
    code = request.GET.get("code", "")
    if not 0 < len(code) <= LONGEST_CODE:
        raise PayerUnknown
    try:
        return payer_of(channel, code)
    except GatewayRefused as error:
        raise PayerUnknown from error
    except GatewayError as error:
        raise ChannelUnavailable from error


def forget_visit(response: HttpResponse) -> None:
    response.delete_cookie(COOKIE, path=reverse("pay_in_wechat"), samesite="Lax")
