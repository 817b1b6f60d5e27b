"""How everything stands, read from the rows and from Redis when somebody asks: a scrape, or a person.

The reads go through small indexes, in one snapshot and for a second at most, and nobody reads twice within
FRESH: neither a scraper that hurries nor a crowd of curious merchants costs the shop anything to speak of.
What cannot be read is left out, and said to be away.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import TypeVar

import redis
import structlog
from django.db import Error, connection, transaction
from django.db.models import Count, Min, Q

from cardshop.common.clock import db_now
from cardshop.outbox.models import OutboxMessage
from inventory.models import KeyRequest, RequestStatus
from orders.admission.gate import connect
from orders.admission.sales import sales_to_serve
from orders.admission.watching import Watched, watch
from orders.models import Order
from orders.states import OrderStatus
from payments.gateways import left_alone, operations_of
from payments.models import KeyRecall, PaymentChannel, Receipt, Refund, Statement
from payments.routing.showing import success_rates
from payments.selectors import RECALL_WAITS, WAITS_FOR_PERSON
from payments.states import RefundStatus
from resellers.webhooks.standing import Waiting, waiting

logger = structlog.get_logger(__name__)

FRESH = 1.0  # seconds
PATIENCE_MS = 1000  # of PostgreSQL with one statement
Read = TypeVar("Read")


@dataclass(frozen=True)
class Promises:
    """Of one task: messages that are open, seconds since the oldest was promised, and those given up."""

    open: int
    age: float
    given_up: int


@dataclass(frozen=True)
class ChannelStanding:
    """`left_alone`: by operation, whether its breaker is open. `success`: a share, None where not known."""

    channel: PaymentChannel
    left_alone: dict[str, bool]
    success: float | None


@dataclass(frozen=True)
class Standing:
    """`outbox` by task, `lines` by the variant's code, `attention` by kind. Empty where it is not known."""

    has_postgresql: bool
    has_redis: bool
    outbox: dict[str, Promises] = field(default_factory=dict)
    attention: dict[str, int] = field(default_factory=dict)
    unpaid: int = 0  # orders
    lines: dict[str, Watched] = field(default_factory=dict)
    channels: list[ChannelStanding] = field(default_factory=list)
    webhooks: Waiting = field(default_factory=Waiting)

    @property
    def undelivered(self) -> Promises:
        """Orders that are paid and have no keys yet."""
        of_both = [said for task, said in self.outbox.items() if task.startswith("orders.deliver")]
        return Promises(
            open=sum(said.open for said in of_both),
            age=max((said.age for said in of_both), default=0.0),
            given_up=sum(said.given_up for said in of_both),
        )


_reading = Lock()
_last: tuple[float, Standing] | None = None


def standing() -> Standing:
    """At most FRESH seconds old. Who asks while it is being read waits for that; never raises."""
    global _last
    with _reading:
        if _last is None or time.monotonic() - _last[0] >= FRESH:
            standing = _read()
            _last = (time.monotonic(), standing)
        return _last[1]


def _read() -> Standing:
    has_redis = _ask(lambda: bool(connect().ping()), of="redis", otherwise=False)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("SET LOCAL statement_timeout = %s", [PATIENCE_MS])
            now = db_now()
            return Standing(
                has_postgresql=True,
                has_redis=has_redis,
                outbox=_outbox(now),
                attention=_attention(),
                unpaid=Order.objects.filter(status=OrderStatus.PENDING).count(),
                lines=_ask(lambda: _lines(now), of="lines", otherwise={}) if has_redis else {},
                channels=_channels(now) if has_redis else [],
                webhooks=waiting(now),
            )
    except Error as error:
        logger.warning("standing not known", error=type(error).__name__)
        connection.close()
        return Standing(has_postgresql=False, has_redis=has_redis)


def _ask(question: Callable[[], Read], *, of: str, otherwise: Read) -> Read:
    try:
        return question()
    except redis.RedisError as error:
        logger.warning("standing not known", of=of, error=type(error).__name__)
        return otherwise


def _outbox(now: datetime) -> dict[str, Promises]:
    undone = OutboxMessage.objects.filter(done_at=None).values("task")
    # Two questions, each with an index of its own.
    given_up = dict(undone.exclude(attention="").values_list("task", Count("pk")))
    still_open = undone.filter(attention="").values_list("task", Count("pk"), Min("created_at"))
    return {task: Promises(0, 0.0, count) for task, count in given_up.items()} | {
        task: Promises(count, max(0.0, (now - oldest).total_seconds()), given_up.get(task, 0))
        for task, count, oldest in still_open
    }


def _attention() -> dict[str, int]:
    awaited = Q(status=RefundStatus.AWAITED)
    return {
        "orders": Order.objects.exclude(attention="").count(),
        "receipts": Receipt.objects.filter(WAITS_FOR_PERSON).count(),
        "refunds": Refund.objects.filter(WAITS_FOR_PERSON | awaited).count(),
        "key_requests": KeyRequest.objects.filter(status=RequestStatus.AWAITED).count(),
        "recalls": KeyRecall.objects.filter(RECALL_WAITS).count(),
        "statements": Statement.objects.filter(WAITS_FOR_PERSON).count(),
    }


def _lines(now: datetime) -> dict[str, Watched]:
    sales = [*sales_to_serve(isolated=False), *sales_to_serve(isolated=True)]
    return {sale.variant.code: watch(sale, now=now) for sale in sales}


def _channels(now: datetime) -> list[ChannelStanding]:
    enabled = list(PaymentChannel.objects.filter(is_enabled=True).select_related("shop"))
    rates = success_rates(enabled, now=now)
    return [
        ChannelStanding(
            channel,
            left_alone={operation: operation in waits for operation in operations_of(channel)},
            success=rates.get(channel.pk),
        )
        for channel in enabled
        for waits in [left_alone(channel)]
    ]
