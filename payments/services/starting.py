"""Starting to pay by a method: through which channel, and which one next if that fails, the router says."""

import time
from collections.abc import Sequence
from datetime import datetime

import structlog
from django.db import transaction

from cardshop.common.errors import DomainError
from cardshop.outbox.services import promise_all
from orders.models import Order
from payments.errors import ChannelUnavailable, TooManyAttempts, UnknownMethod
from payments.models import PaymentAttempt, PaymentChannel
from payments.routing import router
from payments.selectors import attempts_of, channels_for
from payments.services.attempts import BEGUN_AT, BuyersWay, just_begun, start_attempt
from payments.states import AttemptStatus

logger = structlog.get_logger(__name__)

MOST_CHANNELS = 3  # that one press may try
PATIENCE = 12.0  # seconds after which no further channel is tried


def start_payment(
    order: Order,
    method: str,
    way: BuyersWay,
    *,
    channels: Sequence[PaymentChannel] = (),
    now: datetime,
) -> PaymentAttempt:
    """An open attempt through the best channel of `method`, or the next best where that one fails.

    Pressing twice continues the same attempt. Whoever comes back later without having paid is led through
    another channel if there is one, and what was begun before is called off. `channels` are what
    channels_in_order() has said already, where somebody had to know: asked again, it may say otherwise.
    Raises UnknownMethod, ChannelUnavailable, NotPayable, TooLate, TooManyAttempts.
    """
    channels = channels or channels_in_order(order, method, now=now)
    attempt = _start_through_one_of(channels, order, way, now)
    router.note_sent(attempt, who=way["client_ip"], now=now)
    _call_off_others(order, attempt, now)
    return attempt


def channels_in_order(order: Order, method: str, *, now: datetime) -> list[PaymentChannel]:
    """As the router ranks them, at least one. The one that this order was led through just now comes first,
    those that it was led through in vain, or could not be, come last. Raises UnknownMethod.
    """
    if not (ranked := router.rank(channels_for(order, method), amount_minor=order.total_minor, now=now)):
        raise UnknownMethod
    begun = attempts_of(order).filter(channel__in=ranked)
    current = just_begun(begun, now).order_by(BEGUN_AT).values_list("channel", flat=True).last()
    in_vain = begun.filter(status__in=[AttemptStatus.OPEN, AttemptStatus.FAILED])
    tried = set(in_vain.values_list("channel", flat=True))
    return sorted(ranked, key=lambda channel: (channel.pk != current, channel.pk in tried))


def _start_through_one_of(
    channels: Sequence[PaymentChannel], order: Order, way: BuyersWay, now: datetime
) -> PaymentAttempt:
    """Through the first that answers. One that failed stays on the polling list: it may have heard."""
    began = time.monotonic()
    failed: DomainError = ChannelUnavailable()
    for channel in channels[:MOST_CHANNELS]:
        try:
            return start_attempt(order, channel, **way, now=now)
        except TooManyAttempts as error:
            failed = error  # what was begun through another one can still be continued
        except ChannelUnavailable:
            router.note_create_error(channel, now=now)
            logger.warning("channel failed over", channel=channel.slug, order=order.number)
        if time.monotonic() - began > PATIENCE:
            break
    raise failed


@transaction.atomic(durable=True)
def _call_off_others(order: Order, attempt: PaymentAttempt, now: datetime) -> None:
    """What was begun before by the same method shall not be paid on top of it. Not what was begun just now:
    two tabs may have pressed at one moment, and each would take the other's page away.
    """
    same_method = attempts_of(order).filter(channel__method=attempt.channel.method)
    others = same_method.filter(next_query_at__isnull=False).exclude(pk=attempt.pk)
    left = others.exclude(pk__in=just_begun(others, now).values("pk"))
    promise_all(
        "payments.call_off_attempts", dict.fromkeys((other.pk for other in left), order.shop_id), now=now
    )
