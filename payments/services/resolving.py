"""A person has dealt with what waited for one: refunded it, asked for the rest, found whose it was.

No money moves here and no state of an order or receipt changes; it only stops waiting. `why` is the
reason that the person was shown: if another has come up since, that one has still to be seen.
"""

from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from cardshop.common.errors import DomainError
from cardshop.common.locks import lock_rows
from orders.models import Order
from orders.services.transitions import note
from orders.states import OrderStatus
from payments.models import Receipt, Refund, Statement
from payments.states import RefundStatus

logger = structlog.get_logger(__name__)

DEALT_WITH = "dealt with"
WHAT_MAX = 180  # with DEALT_WITH before it, it has to fit into OrderEvent.reason


class NothingWaits(DomainError):
    code = "nothing_waits"
    http_status = 409
    message = _("There is nothing to do: somebody has dealt with it, or there is another reason now.")


def resolvable(order: Order) -> bool:
    """A paid order is not let go: its buyer waits for keys, and delivering them is what ends that."""
    return bool(order.attention) and order.status != OrderStatus.PAID


@transaction.atomic(durable=True)
def resolve_order(order: Order, *, why: str, what: str, actor: str, now: datetime) -> None:
    """The order, and its money that waited for the same reason, are dealt with. Raises NothingWaits."""
    # Receipts before the order: LOCK_ORDER.
    _resolve(Receipt.objects.filter(attempt__payment__order=order), why=why, actor=actor, now=now)
    waiting = Order.objects.filter(pk=order.pk, attention=why).exclude(attention="")
    if not waiting.exclude(status=OrderStatus.PAID).update(attention=""):
        raise NothingWaits  # and the receipts are rolled back
    note(Order.objects.get(pk=order.pk), reason=f"{DEALT_WITH}: {what}", actor=actor, now=now)


@transaction.atomic(durable=True)
def resolve_receipt(receipt: Receipt, *, why: str, what: str, actor: str, now: datetime) -> None:
    """The receipt is dealt with; the history of its order says how, if it has one. Raises NothingWaits."""
    if not _resolve(Receipt.objects.filter(pk=receipt.pk), why=why, actor=actor, now=now):
        raise NothingWaits
    (orders,) = lock_rows(Order.objects.filter(payment__attempts__receipts=receipt))
    for order in orders:
        note(order, reason=f"{DEALT_WITH}: {what}", actor=actor, now=now)
    logger.info("receipt dealt with", receipt=receipt.pk, actor=actor)


@transaction.atomic(durable=True)
def resolve_refund(refund: Refund, *, why: str, what: str, actor: str, now: datetime) -> None:
    """A refund that came to nothing is dealt with otherwise. Raises NothingWaits."""
    failed = Refund.objects.filter(pk=refund.pk, status=RefundStatus.FAILED, attention=why, resolved_at=None)
    if not failed.update(resolved_at=now, resolved_by=actor):
        raise NothingWaits
    (orders,) = lock_rows(Order.objects.filter(payment__refunds=refund))
    for order in orders:
        note(order, reason=f"{DEALT_WITH}: {what}", actor=actor, now=now)


def resolve_statement(statement: Statement, *, why: str, actor: str, now: datetime) -> None:
    """What a day's statement raised is dealt with. Raises NothingWaits."""
    waiting = Statement.objects.filter(pk=statement.pk, attention=why, resolved_at=None).exclude(attention="")
    if not waiting.update(resolved_at=now, resolved_by=actor):
        raise NothingWaits


def _resolve(receipts: QuerySet[Receipt], *, why: str, actor: str, now: datetime) -> int:
    waiting = receipts.filter(attention=why, resolved_at=None).exclude(attention="")
    return waiting.update(resolved_at=now, resolved_by=actor)
