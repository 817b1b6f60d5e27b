"""Starting a payment: record the attempt, then ask the provider, then record what it said."""

import secrets
from datetime import datetime, timedelta
from typing import TypedDict

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce
from django.urls import reverse

from cardshop.common.inserts import insert_new
from cardshop.common.links import absolute_url
from cardshop.common.locks import lock_rows
from orders.models import Order
from orders.states import OrderStatus
from payments.errors import ChannelUnavailable, NotPayable, TooLate, TooManyAttempts
from payments.gateways import DRIVERS, gateway_for
from payments.gateways.base import GatewayError, GatewayRefused, PayRequest
from payments.models import Payment, PaymentAttempt, PaymentChannel
from payments.services.polling import FIRST_QUERY_AFTER
from payments.states import AttemptStatus

logger = structlog.get_logger(__name__)

# When it was begun, or else begun again: `started_at` stays what the provider was told.
BEGUN_AT = Coalesce("resumed_at", "started_at")
LAST_CALL = timedelta(seconds=60)
# A second press within this time is a nervous finger; after it, the buyer has come back unpaid.
SAME_PRESS = timedelta(seconds=30)
_OVER = [AttemptStatus.SUCCEEDED, AttemptStatus.CLOSED]
MOST_ATTEMPTS = 30  # of one order: each that a provider refuses is followed by another


class BuyersWay(TypedDict):
    """How a buyer pays: where they come back to (`return_url` may hold `{attempt}`, which becomes the
    attempt's number), from where and with what they come, and what the provider's app calls them, where it
    has told.
    """

    return_url: str
    client_ip: str
    on_phone: bool
    in_wechat: bool
    payer: str


def start_attempt(
    order: Order,
    channel: PaymentChannel,
    *,
    return_url: str,
    client_ip: str,
    on_phone: bool = False,
    in_wechat: bool = False,
    payer: str = "",
    now: datetime,
) -> PaymentAttempt:
    """An open attempt: its `pay_url`, `qr`, `app_url` or `app_call` is how the buyer pays `order` through
    `channel`.

    The way of the buyer is as in BuyersWay.

    Pressing twice continues the same attempt: its number is the provider's idempotency key. Not so where
    the one that is open can be paid elsewhere only, or not any more. Raises NotPayable, TooLate (no new
    attempt in the last fifth of a hold, at most 60 s), TooManyAttempts, ChannelUnavailable.
    """
    attempt = _open_attempt(order, channel, now, is_known=bool(payer))
    if attempt.status == AttemptStatus.OPEN:
        return attempt
    if attempt.started_at < now:
        _resume(attempt, now)
    wanted = PayRequest(
        out_trade_no=attempt.out_trade_no,
        amount_minor=attempt.amount_minor,
        currency=attempt.currency,
        # The number and not the product: a provider need not know what is bought.
        subject=order.number,
        notify_url=absolute_url(order.shop, reverse("notify", args=[channel.slug])),
        return_url=return_url.replace("{attempt}", attempt.out_trade_no),
        client_ip=client_ip,
        on_phone=on_phone,
        in_wechat=in_wechat,
        payer=payer,
        started_at=attempt.started_at,
        expires_at=order.reserved_until,
    )
    try:
        page = gateway_for(channel).create(wanted)
    except GatewayRefused as error:
        # A clear no: there is nothing to ask about, and another try needs another number.
        _record_failure(attempt, str(error), next_query_at=None)
        logger.warning("channel refused", channel=channel.slug, order=order.number, error=str(error))
        raise ChannelUnavailable from error
    except GatewayError as error:
        # It may have reached the provider all the same: the attempt stays on the polling list.
        _record_failure(attempt, str(error), next_query_at=attempt.next_query_at)
        logger.warning("channel failed", channel=channel.slug, order=order.number, error=str(error))
        raise ChannelUnavailable from error
    where = {
        "pay_url": page.url,
        "qr": page.qr,
        "app_url": page.app_url,
        "app_call": dict(page.app_call),
        "reference": page.reference,
    }
    # Unless money arrived while the provider was still answering. From here on it is polled, also if
    # the same press in another tab has failed meanwhile.
    begun = PaymentAttempt.objects.filter(pk=attempt.pk).exclude(status__in=_OVER)
    opened = begun.update(status=AttemptStatus.OPEN, next_query_at=attempt.next_query_at, **where)
    if not opened and PaymentAttempt.objects.filter(pk=attempt.pk, status=AttemptStatus.CLOSED).exists():
        raise ChannelUnavailable  # called off meanwhile: what the provider shows cannot be paid
    for name, value in where.items():
        setattr(attempt, name, value)
    return attempt


def just_begun(attempts: QuerySet[PaymentAttempt], now: datetime) -> QuerySet[PaymentAttempt]:
    """Those that somebody pressed for a moment ago: the provider is about to answer, or the buyer to pay."""
    begun = attempts.filter(status__in=[AttemptStatus.CREATED, AttemptStatus.OPEN])
    return begun.annotate(begun_at=BEGUN_AT).filter(begun_at__gt=now - SAME_PRESS)


def last_call(order: Order) -> datetime:
    """From then on no new attempt: the last fifth of the hold, at most LAST_CALL."""
    hold = order.reserved_until - order.placed_at
    return order.reserved_until - min(LAST_CALL, hold / 5)


@transaction.atomic(durable=True)
def _open_attempt(order: Order, channel: PaymentChannel, now: datetime, *, is_known: bool) -> PaymentAttempt:
    draft = Payment(
        shop_id=order.shop_id,
        order=order,
        amount_minor=order.total_minor,
        currency=order.currency,
        created_at=now,
    )
    payment: Payment
    locked: Order
    if is_first := bool(insert_new([draft], unique=["order"])):
        # Nobody else can see the row before the commit, so it is as good as locked.
        payment, ((locked,),) = draft, lock_rows(Order.objects.filter(pk=order.pk))
    else:
        (payment,), (locked,) = lock_rows(
            Payment.objects.filter(order=order), Order.objects.filter(pk=order.pk)
        )
    if locked.status != OrderStatus.PENDING:
        raise NotPayable
    if not is_first and (attempt := _unfinished(payment, channel, now, is_known=is_known)):
        return attempt
    if now >= last_call(locked):
        raise TooLate
    if not is_first and payment.attempts.count() >= MOST_ATTEMPTS:
        raise TooManyAttempts
    return PaymentAttempt.objects.create(
        payment=payment,
        channel=channel,
        out_trade_no=f"{now:%y%m%d}{secrets.token_hex(12)}",
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        started_at=now,
        next_query_at=now + FIRST_QUERY_AFTER,
    )


def _unfinished(
    payment: Payment, channel: PaymentChannel, now: datetime, *, is_known: bool
) -> PaymentAttempt | None:
    """Also after a failure: the number is the provider's idempotency key. Once refused, it is not asked
    about any more, and not tried again.

    What was begun inside an app is of no use outside of it, and the other way round; nor is a page that the
    provider shows no longer.
    """
    driver = DRIVERS.get(channel.driver)
    in_app = bool(driver and driver.has_app_calls and is_known)
    useless = Q(app_call={}) if in_app else ~Q(app_call={})
    if driver and driver.page_lasts:
        useless |= ~Q(pay_url="") & Q(begun_at__lte=now - driver.page_lasts)
    begun = payment.attempts.filter(channel=channel, next_query_at__isnull=False)
    unfinished = begun.annotate(begun_at=BEGUN_AT)
    return unfinished.exclude(Q(status=AttemptStatus.OPEN) & useless).order_by("-pk").first()


def _resume(attempt: PaymentAttempt, now: datetime) -> None:
    """From now on it is begun just now, so that nobody calls it off as one of long ago."""
    not_open = PaymentAttempt.objects.filter(pk=attempt.pk).exclude(status__in=[AttemptStatus.OPEN, *_OVER])
    not_open.update(status=AttemptStatus.CREATED, resumed_at=now)


def _record_failure(attempt: PaymentAttempt, error: str, *, next_query_at: datetime | None) -> None:
    """Only while nobody was sent to pay: the same press in another tab may have succeeded meanwhile. And what
    was called off stays so.
    """
    not_begun = PaymentAttempt.objects.exclude(status__in=[AttemptStatus.OPEN, *_OVER])
    not_begun.filter(pk=attempt.pk).update(
        status=AttemptStatus.FAILED, last_error=error[:200], next_query_at=next_query_at
    )
