"""Reads of the money side."""

import time
from typing import NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models import Q, QuerySet

from cardshop.shops.models import Shop
from orders.models import Order
from payments.models import PaymentAttempt, PaymentChannel
from payments.states import AttemptStatus

# Receipts that a person has still to see to.
WAITS_FOR_PERSON = ~Q(attention="") & Q(resolved_at=None)
_RETURN_PATH = """
    SELECT attempt.id, "order".token, "order".language FROM payments_paymentattempt AS attempt
    JOIN payments_payment AS payment ON payment.id = attempt.payment_id
    JOIN orders_order AS "order" ON "order".id = payment.order_id
    WHERE attempt.out_trade_no = %s AND "order".shop_id = %s"""

_channels: dict[int, tuple[float, list[PaymentChannel]]] = {}


def channels_of(shop: Shop) -> list[PaymentChannel]:
    """All ways to pay of the shop, in the merchant's order, at most SHOP_FRESH_SECONDS old.

    Every notice and every page of an unpaid order asks.
    """
    now = time.monotonic()
    fresh_until, known = _channels.get(shop.pk, (0.0, []))
    if now < fresh_until:
        return known
    channels = list(PaymentChannel.objects.filter(shop=shop))
    _channels[shop.pk] = (now + settings.SHOP_FRESH_SECONDS, channels)
    return channels


def channel_called(shop: Shop, slug: str) -> PaymentChannel | None:
    return next((channel for channel in channels_of(shop) if channel.slug == slug), None)


def enabled_channels(shop: Shop) -> list[PaymentChannel]:
    """The ways in which an order may be paid now."""
    return [channel for channel in channels_of(shop) if channel.is_enabled]


def sharing_account(channel: PaymentChannel) -> QuerySet[PaymentChannel]:
    """The channels, this one among them, of its account at the provider: each is told of, and can ask about,
    the others' trades.
    """
    return PaymentChannel.objects.filter(
        shop=channel.shop_id, base_url=channel.base_url, merchant_id=channel.merchant_id
    )


class ReturnPath(NamedTuple):
    """Where a buyer who left for the provider comes back to."""

    attempt_id: int
    order_token: str
    order_language: str


def return_path(shop: Shop, out_trade_no: str) -> ReturnPath | None:
    with connection.cursor() as cursor:
        cursor.execute(_RETURN_PATH, [out_trade_no, shop.pk])
        row = cursor.fetchone()
    return row and ReturnPath(*row)


def to_scan(order: Order, *, in_wechat: bool = False) -> PaymentAttempt | None:
    """The newest attempt that is paid with an app and not on a page of the provider's, if there is one.

    What was begun for the app around the page (`app_call`) can only be paid there.
    """
    by_app = attempts_of(order).filter(status=AttemptStatus.OPEN, pay_url="")
    return (by_app if in_wechat else by_app.filter(app_call={})).last()


def attempts_of(order: Order) -> QuerySet[PaymentAttempt]:
    return PaymentAttempt.objects.filter(payment__order=order).select_related("channel").order_by("pk")
