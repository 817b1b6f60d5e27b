"""Looks at everything that may be the matter. What cannot be looked at now is left as it was."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import structlog
from django.conf import settings
from django.db.models import Count, F, Min, Q, QuerySet, Window
from django.db.models.functions import RowNumber

from cardshop.alerts.models import Destination, Kind
from cardshop.outbox.heartbeats import last_seen
from cardshop.outbox.models import OutboxMessage
from inventory.models import BatchState, KeyBatch, Selling, Stock, Variant
from orders.admission.gate import connect
from orders.models import Order
from payments.gateways import left_alone
from payments.models import PaymentChannel, Receipt, Refund, Statement
from payments.selectors import WAITS_FOR_PERSON
from payments.states import RefundStatus
from resellers.models import WebhookEndpoint
from resellers.webhooks.endpoints import BY_HAND
from suppliers.models import Supplier
from suppliers.stock import BELIEVED_FOR

logger = structlog.get_logger(__name__)

MOST = 200  # of one kind of rows in a shop: who has so many to see to knows
SILENT_FOR = timedelta(minutes=3)  # that nobody takes work which is due
NEWS_FOR = timedelta(hours=6)  # from its beginning, that an import is news


@dataclass(frozen=True)
class Seen:
    """That something is the matter. `subject` tells it apart; `about` is for who words it."""

    kind: Kind
    shop_id: int | None
    subject: str
    about: dict[str, Any] = field(compare=False, default_factory=dict)


Look = Callable[[datetime], Iterator[Seen]]


def look_at_all(now: datetime) -> tuple[set[Seen], set[Kind]]:
    """All that is the matter, and the kinds that could be looked at. What fails keeps nothing else from
    being told.
    """
    seen: set[Seen] = set()
    kinds: set[Kind] = set()
    for look, of_these in LOOKS.items():
        try:
            seen |= set(look(now))
        except Exception:
            logger.exception("cannot look", kinds=[str(kind) for kind in of_these])
        else:
            kinds |= of_these
    return seen, kinds


def _what_needs_a_person(now: datetime) -> Iterator[Seen]:
    for order in _first_of_each_shop(Order.objects.exclude(attention="")):
        yield _waits("order", order, order.number, order.attention)
    for receipt in _first_of_each_shop(Receipt.objects.filter(WAITS_FOR_PERSON).select_related("channel")):
        yield _waits("receipt", receipt, str(receipt.channel), receipt.attention)
    refunds = Refund.objects.filter(WAITS_FOR_PERSON | Q(status=RefundStatus.AWAITED))
    for refund in _first_of_each_shop(refunds):
        yield _waits("refund", refund, refund.out_refund_no, refund.attention)
    statements = Statement.objects.filter(WAITS_FOR_PERSON).select_related("channel")
    for statement in _first_of_each_shop(statements):
        yield _waits("statement", statement, str(statement), statement.attention)


def _first_of_each_shop(rows: QuerySet[Any], order: str = "pk") -> QuerySet[Any]:
    """MOST of each: the trouble of one shop must not hide that of another."""
    place = Window(RowNumber(), partition_by="shop", order_by=order)
    first: QuerySet[Any] = rows.annotate(place=place).filter(place__lte=MOST).order_by(order)
    return first


def _waits(what: str, row: Any, name: str, why: str) -> Seen:
    return Seen(Kind.ATTENTION, row.shop_id, f"{what} {row.pk}", {"what": what, "name": name, "why": why})


def _what_runs_low(now: datetime) -> Iterator[Seen]:
    """What never had any stock is not sold out."""
    low = (
        Stock.objects.filter(
            pool=Stock.PUBLIC,
            released__gt=0,
            variant__is_active=True,
            variant__product__is_listed=True,
        )
        .annotate(free=F("released") - F("claimed"))
        .filter(Q(free__lte=0) | Q(free__lte=F("variant__low_stock_at")))
        .select_related("variant__product")
    )
    for stock in low:
        variant, free = stock.variant, stock.free
        about = {"name": str(variant), "variant": variant.pk, "free": free}
        if free <= 0:
            yield Seen(Kind.SOLD_OUT, stock.shop_id, f"variant {variant.pk}", about)
        if variant.low_stock_at is not None and free <= variant.low_stock_at:
            yield Seen(Kind.LOW_STOCK, stock.shop_id, f"variant {variant.pk}", about)


def _ways_to_pay_that_are_dead(now: datetime) -> Iterator[Seen]:
    connect().ping()  # or else nobody would know, and all would seem well
    for channel in PaymentChannel.objects.filter(is_enabled=True):
        if "create" in left_alone(channel):
            yield Seen(Kind.CHANNEL, channel.shop_id, f"channel {channel.pk}", {"name": str(channel)})


def _imports_that_have_ended(now: datetime) -> Iterator[Seen]:
    recent = KeyBatch.objects.filter(
        origin=KeyBatch.Origin.IMPORTED,
        state__in=[BatchState.DONE, BatchState.FAILED],
        imported_at__gte=now - NEWS_FOR,
    )
    for batch in _first_of_each_shop(recent.select_related("variant__product"), "-pk"):
        about = {
            "name": str(batch.variant),
            "is_done": batch.state == BatchState.DONE,
            "imported": batch.imported,
            "duplicates": batch.duplicates,
            "refused": batch.refused,
        }
        yield Seen(Kind.IMPORT, batch.shop_id, f"batch {batch.pk}", about)


def _destinations_that_fail(now: datetime) -> Iterator[Seen]:
    for destination in Destination.objects.filter(is_enabled=True, failing_since__isnull=False):
        about = {"name": destination.name, "error": destination.last_error}
        yield Seen(Kind.DESTINATION, destination.shop_id, f"destination {destination.pk}", about)


def _webhooks_that_are_paused(now: datetime) -> Iterator[Seen]:
    """By themselves. Of an address only the host is told: the rest may be a secret."""
    paused = WebhookEndpoint.objects.filter(is_active=True, paused_at__isnull=False).exclude(
        paused_because=BY_HAND
    )
    for endpoint in _first_of_each_shop(paused.select_related("reseller")):
        whose = f"{endpoint.reseller}, " if endpoint.reseller else ""
        about = {"name": f"{whose}{urlsplit(endpoint.url).hostname}"}
        yield Seen(Kind.WEBHOOK, endpoint.shop_id, f"webhook {endpoint.pk}", about)


def _suppliers_that_are_silent_or_differ(now: datetime) -> Iterator[Seen]:
    """A supplier who does not answer is believed for a while, and so it is no news before that."""
    silent = ~Q(last_error="") & (Q(answered_at=None) | Q(answered_at__lte=now - BELIEVED_FOR))
    for supplier in Supplier.objects.filter(silent | ~Q(differences=""), is_enabled=True):
        about = {"name": supplier.name, "error": supplier.last_error, "differences": supplier.differences}
        yield Seen(Kind.SUPPLIER, supplier.shop_id, f"supplier {supplier.pk}", about)


def _work_given_up(now: datetime) -> Iterator[Seen]:
    given_up = OutboxMessage.objects.filter(done_at=None).exclude(attention="")
    for task, count in given_up.values_list("task").annotate(Count("pk")):
        yield Seen(Kind.GIVEN_UP, None, task, {"name": task, "count": count})


def _workers_that_are_silent(now: datetime) -> Iterator[Seen]:
    """By the work that is left lying: what is leased, or was tried and failed, is due later. And by the signs
    of life that each queue's workers show.
    """
    left_lying = OutboxMessage.objects.filter(done_at=None, attention="", due_at__lt=now - SILENT_FOR)
    for task, count, since in left_lying.values_list("task").annotate(Count("pk"), Min("due_at")):
        about = {"name": task, "count": count, "minutes": _minutes(now - since)}
        yield Seen(Kind.WORKERS, None, f"task {task}", about)
    seen_at = last_seen()
    for name in [*(queue.name for queue in settings.CELERY_TASK_QUEUES), *_allocators_needed()]:
        if name in seen_at and seen_at[name] < now - SILENT_FOR:
            about = {"name": name, "minutes": _minutes(now - seen_at[name])}
            yield Seen(Kind.WORKERS, None, f"queue {name}", about)


def _allocators_needed() -> list[str]:
    """Without them nobody gets anything who clicks into a line."""
    lines = Variant.objects.filter(selling=Selling.QUEUED, is_active=True).order_by("is_isolated")
    isolated = lines.values_list("is_isolated", flat=True).distinct()
    return ["allocate_isolated" if each else "allocate" for each in isolated]


def _minutes(duration: timedelta) -> int:
    return int(duration.total_seconds() // 60)


# The rooms above add theirs.
LOOKS: dict[Look, set[Kind]] = {
    _what_needs_a_person: {Kind.ATTENTION},
    _what_runs_low: {Kind.LOW_STOCK, Kind.SOLD_OUT},
    _ways_to_pay_that_are_dead: {Kind.CHANNEL},
    _imports_that_have_ended: {Kind.IMPORT},
    _destinations_that_fail: {Kind.DESTINATION},
    _webhooks_that_are_paused: {Kind.WEBHOOK},
    _suppliers_that_are_silent_or_differ: {Kind.SUPPLIER},
    _work_given_up: {Kind.GIVEN_UP},
    _workers_that_are_silent: {Kind.WORKERS},
}
