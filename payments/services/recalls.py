"""Calling a bad batch back: no key of it is sold any more, and every buyer gets new keys or the money.

Line by line, in the background. Each line is seen to by the service that anybody would use for it, with its
own locks, so that a recall may be broken off anywhere, begun again, and run twice at once.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

import structlog
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils.translation import gettext_lazy as _

from cardshop.common.errors import DomainError
from cardshop.common.locks import lock_rows
from cardshop.outbox.services import Failures, NotReached, promise
from inventory.models import CardKey, KeyBatch
from inventory.withdrawing import void_free_keys
from orders.models import DeliveredKey, Order, OrderItem
from orders.services.replacing import NoKeysLeft, NotReplaceable, replace_keys
from orders.services.transitions import ask_for_attention
from orders.states import ItemStatus
from payments.models import KeyRecall, Refund
from payments.services.refunds import (
    NotRefundable,
    OwnRequest,
    approve_refund,
    money_for,
    refundable_minor,
    request_refund,
)
from payments.states import RecallStatus, RecallWay, RefundStatus

logger = structlog.get_logger(__name__)

AT_ONCE = 100  # lines that are looked for in one query
RUN = 8.0  # seconds, well within the lease
NO_KEYS_LEFT = "there are no more keys to replace them with: import some, then go on"
NO_REFUND = "its keys were bad, and its money could not be sent back by itself: refund it or replace them"


class RecallUnderWay(DomainError):
    code = "recall_under_way"
    message = _("This batch is being called back already.")


class NobodyHasAny(DomainError):
    code = "nobody_has_any"
    message = _("Nobody has a key of this batch.")


class NotImported(DomainError):
    code = "not_imported"
    message = _("Only imported keys are called back. What was typed in is changed where it was typed.")


class NotAwaited(DomainError):
    code = "not_awaited"
    message = _("Somebody has decided about this already.")


def lines_with_keys_of(batch: KeyBatch) -> QuerySet[OrderItem]:
    """Delivered lines in whose slots keys of the batch are now. The key that was replaced is in none."""
    slots = DeliveredKey.objects.filter(card_key__batch=batch, replaced_by=None)
    return OrderItem.objects.filter(pk__in=slots.values("item"), status=ItemStatus.DELIVERED)


def recall_batch(batch: KeyBatch, way: str, *, reason: str, actor: str, now: datetime) -> KeyRecall:
    """Ask for it. Where the shop wants two for refunds, a second person has to let it go.

    One that has halted ends with that: who gets no new keys can get the money. Raises NotImported,
    NobodyHasAny, RecallUnderWay.
    """
    if batch.origin != KeyBatch.Origin.IMPORTED:
        raise NotImported
    if not (lines := lines_with_keys_of(batch).count()):
        raise NobodyHasAny
    needs_two = way == RecallWay.REFUND and batch.shop.refunds_need_two
    try:
        with transaction.atomic(durable=True):
            _halted(KeyRecall.objects.filter(batch=batch)).update(status=RecallStatus.ENDED, ended_at=now)
            recall = KeyRecall.objects.create(
                shop_id=batch.shop_id,
                batch=batch,
                way=way,
                status=RecallStatus.AWAITED if needs_two else RecallStatus.RUNNING,
                reason=reason,
                lines=lines,
                asked_by=actor,
                asked_at=now,
            )
            promise("inventory.void_batch", [batch.pk], shop_id=batch.shop_id, now=now)
            if recall.status == RecallStatus.RUNNING:
                promise("payments.recall_keys", [recall.pk], shop_id=batch.shop_id, now=now)
    except IntegrityError as twin:
        raise RecallUnderWay from twin
    return recall


@transaction.atomic(durable=True)
def approve_recall(recall: KeyRecall, *, actor: str, now: datetime) -> None:
    """The second person lets it go. Raises OwnRequest, NotAwaited."""
    if actor == recall.asked_by:
        raise OwnRequest
    _decide(recall, status=RecallStatus.RUNNING, approved_by=actor)
    promise("payments.recall_keys", [recall.pk], shop_id=recall.shop_id, now=now)


@transaction.atomic(durable=True)
def decline_recall(recall: KeyRecall, *, actor: str, now: datetime) -> None:
    """It does not happen; the batch stays withdrawn. Raises NotAwaited."""
    _decide(recall, status=RecallStatus.DECLINED, approved_by=actor, ended_at=now)


@transaction.atomic(durable=True)
def go_on_with(recall: KeyRecall, *, now: datetime) -> None:
    """What made it halt has been seen to. Raises NotAwaited."""
    if not _halted(KeyRecall.objects.filter(pk=recall.pk)).update(halted=""):
        raise NotAwaited
    promise("payments.recall_keys", [recall.pk], shop_id=recall.shop_id, now=now)


def _halted(recalls: QuerySet[KeyRecall]) -> QuerySet[KeyRecall]:
    return recalls.filter(status=RecallStatus.RUNNING).exclude(halted="")


def _decide(recall: KeyRecall, **changes: object) -> None:
    if not KeyRecall.objects.filter(pk=recall.pk, status=RecallStatus.AWAITED).update(**changes):
        raise NotAwaited


def work_on_recalls(recall_ids: Sequence[int], now: datetime) -> Failures:
    """See to the lines of these recalls for RUN seconds each; returns those that are not at their end."""
    not_reached: dict[int, Exception] = {}
    running = KeyRecall.objects.filter(pk__in=recall_ids, status=RecallStatus.RUNNING, halted="")
    for recall in running.select_related("batch__shop"):
        void_free_keys(recall.batch, now)  # or new keys would be as bad
        if not _run(recall, now):
            not_reached[recall.pk] = NotReached()
    return not_reached


def _run(recall: KeyRecall, now: datetime) -> bool:
    """True when there is nothing to come back for."""
    began = time.monotonic()
    while items := _next_lines(recall):
        for item in items:
            if time.monotonic() - began > RUN:
                return False
            try:
                helped = _see_to(recall, item, now)
            except NoKeysLeft:
                KeyRecall.objects.filter(pk=recall.pk).update(halted=NO_KEYS_LEFT)
                return True
            _note_progress(recall, item, helped=helped)
    ended = KeyRecall.objects.filter(pk=recall.pk, status=RecallStatus.RUNNING)
    ended.update(status=RecallStatus.ENDED, ended_at=now)
    return True


def _next_lines(recall: KeyRecall) -> list[OrderItem]:
    recall.refresh_from_db(fields=["reached"])
    lines = lines_with_keys_of(recall.batch).filter(pk__gt=recall.reached)
    return list(lines.select_related("order").order_by("pk")[:AT_ONCE])


def _note_progress(recall: KeyRecall, item: OrderItem, *, helped: bool) -> None:
    """Once for each line, whoever was there first."""
    counted = {"done": F("done") + 1} if helped else {"failed": F("failed") + 1}
    KeyRecall.objects.filter(pk=recall.pk, reached__lt=item.pk).update(reached=item.pk, **counted)


def _see_to(recall: KeyRecall, item: OrderItem, now: datetime) -> bool:
    """False where a person has to. Raises NoKeysLeft."""
    try:
        if recall.way == RecallWay.REPLACE:
            _replace(recall, item, now)
        else:
            _refund(recall, item, now)
    except NotRefundable as refused:
        if not lines_with_keys_of(recall.batch).filter(pk=item.pk).exists():
            return True  # replaced, or refunded by somebody else
        logger.warning("recalled line not refunded", item=item.pk, why=refused.code)
        _put_before_person(item.order, now)
        return False
    return True


def _replace(recall: KeyRecall, item: OrderItem, now: datetime) -> None:
    bad = CardKey.objects.filter(batch=recall.batch, deliveredkey__item=item)
    with suppress(NotReplaceable):  # the money is on its way instead
        replace_keys(
            item,
            bad=list(bad.values_list("pk", flat=True)),
            reason=recall.reason,
            actor=recall.asked_by,
            now=now,
        )


def _refund(recall: KeyRecall, item: OrderItem, now: datetime) -> None:
    """The price of the bad keys, from the money that paid for the order. Raises NotRefundable."""
    refund = Refund.objects.filter(item=item, status=RefundStatus.AWAITED).first()
    if refund is None:
        slots = DeliveredKey.objects.filter(item=item, card_key__batch=recall.batch, replaced_by=None)
        if not (bad := slots.count()):
            return
        receipt = money_for(item)
        refund = request_refund(
            receipt,
            amount_minor=min(bad * item.unit_price_minor, refundable_minor(receipt)),
            item=item,
            reason=recall.reason,
            actor=recall.asked_by,
            now=now,
            still=lambda: slots.count() == bad,
        )
    if (refund.requested_by, refund.reason) != (recall.asked_by, recall.reason):
        raise NotRefundable  # somebody else's, which may still be declined
    if refund.status == RefundStatus.AWAITED and recall.approved_by:
        approve_refund(refund, actor=recall.approved_by, now=now)


@transaction.atomic(durable=True)
def _put_before_person(order: Order, now: datetime) -> None:
    """Unless it waits for one already."""
    (orders,) = lock_rows(Order.objects.filter(pk=order.pk, attention=""))
    for locked in orders:
        ask_for_attention(locked, NO_REFUND, now=now)
