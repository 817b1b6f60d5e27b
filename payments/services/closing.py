"""How an unpaid order ends: `closing` first, then the provider is asked, then expired or cancelled."""

from datetime import datetime, timedelta

import structlog
from django.db import DatabaseError, transaction

from cardshop.common.locks import lock_rows
from cardshop.outbox.services import promise
from orders.models import Order
from orders.services.holds import release_holds
from orders.services.transitions import SYSTEM, transition
from orders.states import OrderStatus
from payments.gateways.base import GatewayError
from payments.models import Payment, PaymentAttempt, Receipt
from payments.services.evidence import settle_receipt
from payments.services.polling import ask_provider
from payments.states import PaymentStatus, ReceiptStatus, Source

logger = structlog.get_logger(__name__)

ASK_FOR = timedelta(seconds=30)


def close_due_orders(now: datetime, *, limit: int = 500) -> int:
    """Begin to close what is past its deadline; returns how many. Safe beside any number of twins."""
    due = Order.objects.filter(status=OrderStatus.PENDING, reserved_until__lte=now)
    begun = 0
    for order in due.order_by("reserved_until")[:limit]:
        try:
            begun += begin_closing(
                order, OrderStatus.EXPIRED, reason="not paid in time", actor=SYSTEM, now=now
            )
        except DatabaseError:
            # A row that somebody holds for too long must not keep those behind it waiting.
            logger.exception("could not begin to close", order=order.number)
    return begun


@transaction.atomic(durable=True)
def begin_closing(order: Order, to: str, *, reason: str, actor: str, now: datetime) -> bool:
    """`pending → closing`, on the way to `to`; True only for the caller who moved it."""
    if order.status != OrderStatus.PENDING:
        return False
    moved = transition(
        order,
        OrderStatus.CLOSING,
        reason=reason,
        actor=actor,
        now=now,
        closing_to=to,
        closing_since=now,
    )
    if moved:
        promise("payments.finish_closing", [order.pk], shop_id=order.shop_id, now=now)
    return moved


def finish_closing(order_id: int, *, now: datetime) -> None:
    """Ask the provider about every attempt, then end the order unpaid, or leave it paid.

    Raises GatewayError while the provider does not answer, for at most ASK_FOR: the outbox comes
    again. After that the hold is released all the same, and later money is late money.
    """
    order = Order.objects.get(pk=order_id)
    if order.status != OrderStatus.CLOSING or order.closing_since is None:
        return
    if now < order.closing_since + ASK_FOR:
        _ask_about_all(order, now)
    else:
        logger.warning("closed without an answer from the provider", order=order.number)
    while not _end_unpaid(order_id, now):
        _settle_recorded(order_id, now)


def _settle_recorded(order_id: int, now: datetime) -> None:
    recorded = Receipt.objects.filter(attempt__payment__order=order_id, status=ReceiptStatus.RECORDED)
    for receipt in recorded:
        settle_receipt(receipt.pk, now=now)


def _ask_about_all(order: Order, now: datetime) -> None:
    # EPay v1 cannot close a trade, so asking is all that can be done.
    attempts = PaymentAttempt.objects.select_related("channel__shop").filter(payment__order=order)
    unanswered: GatewayError | None = None
    for attempt in attempts.filter(next_query_at__isnull=False):
        try:
            ask_provider(attempt, source=Source.CLOSING, now=now)
        except GatewayError as error:
            unanswered = error  # the next channel may know of money all the same
    if unanswered:
        raise unanswered


@transaction.atomic(durable=True)
def _end_unpaid(order_id: int, now: datetime) -> bool:
    """Under the Payment's lock with no money waiting to be settled: it cannot be paid meanwhile.

    False when money was recorded a moment ago: settle that first, it may be all or only a part.
    """
    payments, (order,) = lock_rows(Payment.objects.filter(order=order_id), Order.objects.filter(pk=order_id))
    if order.status != OrderStatus.CLOSING:
        return True
    unsettled = Receipt.objects.filter(attempt__payment__order=order_id, status=ReceiptStatus.RECORDED)
    if unsettled.exists():
        return False
    release_holds(order)
    transition(order, order.closing_to, reason="no money came", actor=SYSTEM, now=now)
    Payment.objects.filter(pk__in=[payment.pk for payment in payments]).update(status=PaymentStatus.CANCELLED)
    return True
