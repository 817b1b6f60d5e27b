"""Reads of the money side."""

import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models import Q, QuerySet

from cardshop.common.templatetags.shopfront import localized
from cardshop.shops.models import Shop
from orders.models import Order
from payments.models import PaymentAttempt, PaymentChannel
from payments.states import AttemptStatus, RecallStatus

# Receipts that a person has still to see to.
WAITS_FOR_PERSON = ~Q(attention="") & Q(resolved_at=None)
# Recalls of keys.
RECALL_WAITS = Q(status=RecallStatus.AWAITED) | Q(status=RecallStatus.RUNNING) & ~Q(halted="")
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


class Way(NamedTuple):
    """A method that buyers may choose, and what it is called in the language of the request."""

    method: str
    name: str


def ways_to_pay(order: Order) -> list[Way]:
    """The methods by which an order may be paid now, in the merchant's order. One that has a single channel
    is called as that is.
    """
    return _ways([channel for channel in channels_of(order.shop) if _takes(channel, order)])


def ways_of(shop: Shop) -> list[Way]:
    """The methods that the shop takes, in the merchant's order: for who has not ordered yet."""
    return _ways([channel for channel in channels_of(shop) if channel.is_enabled])


def channels_for(order: Order, method: str) -> list[PaymentChannel]:
    """Through which an order may be paid by that method now."""
    return [
        channel for channel in channels_of(order.shop) if channel.method == method and _takes(channel, order)
    ]


def _ways(channels: Iterable[PaymentChannel]) -> list[Way]:
    by_method: dict[str, list[PaymentChannel]] = {}
    for channel in channels:
        by_method.setdefault(channel.method, []).append(channel)
    return [Way(method, _name_of(those)) for method, those in by_method.items()]


def _takes(channel: PaymentChannel, order: Order) -> bool:
    least, most = channel.least_minor or 0, channel.most_minor
    fits = least <= order.total_minor and (most is None or order.total_minor <= most)
    # From one balance to another is a correction, and no way to pay.
    from_a_balance = order.is_top_up and channel.method == "balance"
    return channel.is_enabled and fits and not from_a_balance


def _name_of(channels: Sequence[PaymentChannel]) -> str:
    (channel, *others) = channels
    return channel.get_method_display() if others else str(localized(channel, "name"))


def sharing_account(channel: PaymentChannel) -> QuerySet[PaymentChannel]:
    """The channels, this one among them, of its account at the provider: each is told of, and can ask about,
    the others' trades.
    """
    alike = PaymentChannel.objects.filter(
        shop=channel.shop_id, base_url=channel.base_url, merchant_id=channel.merchant_id
    )
    return alike.filter(pk__in=[other.pk for other in alike if other.account == channel.account])


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
