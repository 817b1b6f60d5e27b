"""Money arriving. One way in, whoever brings the news: notice, query, statement.

First the money is recorded; what follows from it is a second step, in a transaction of its own, that the
outbox repeats until it is done. A thousand payments within a second are settled by the hundred.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet

from cardshop.common.inserts import insert_new
from cardshop.common.locks import lock_rows
from cardshop.outbox.services import Failures, promise_all
from inventory.errors import OutOfStock
from orders.errors import LimitReached
from orders.models import Order
from orders.services.paying import mark_all_paid, mark_paid
from orders.services.transitions import ask_for_attention, note
from orders.states import UNPAID_LIVE
from payments.gateways.base import Evidence
from payments.models import Payment, PaymentAttempt, PaymentChannel, Receipt
from payments.routing import router
from payments.selectors import sharing_account
from payments.states import AttemptStatus, PaymentStatus, ReceiptStatus

logger = structlog.get_logger(__name__)

UNKNOWN = "no payment of ours has this number"
CONTRADICTS = "the provider now says something else about this transaction"
WRONG_CURRENCY = "in another currency than was asked for"
TWICE = "the order was paid already: refund this"
GONE_BACK = "this money had gone back already when we first heard of it: look at the provider"
IN_TIME = "money received"
LATE = "came after the hold had ended, and nothing was left: refund this"
OVER_LIMIT = "came after the hold had ended, and the buyer has as many as one may have: refund this"
SHORT = "less than the price: ask for the rest or refund"
OVER = "more than the price: refund the difference"
# For these it is not only the money that waits for a person.
ORDER_WAITS_TOO = {LATE, OVER_LIMIT, SHORT}


@dataclass(frozen=True, kw_only=True)
class News:
    """What a provider said to, or about, a channel, and how we came to hear it."""

    channel: PaymentChannel
    evidence: Evidence
    source: str


@transaction.atomic(durable=True)
def apply_evidence(
    channel: PaymentChannel, evidence: Evidence, *, source: str, now: datetime
) -> Receipt | None:
    """Record what a provider says and promise its consequences, once, however often it is said.

    Returns the receipt, or None when the evidence speaks of no money. The caller vouches for the
    evidence: it comes from the provider itself, not from a claim that a buyer's browser could hold.
    """
    receipts = record_receipts([News(channel=channel, evidence=evidence, source=source)], now=now)
    return receipts[0] if receipts else None


@transaction.atomic(savepoint=False)
def record_receipts(news: Sequence[News], *, now: datetime) -> list[Receipt]:
    """The receipts of all the money that the news speaks of. Those that are new will be settled.

    Channels may share one account at the provider, and then each of them is told of, and can ask
    about, the others' trades. So a receipt stands under the attempt's own channel, or else under the
    account's first: never twice for one transaction.
    """
    heard = [each for each in news if each.evidence.paid]
    numbers = {each.evidence.out_trade_no for each in heard}
    attempts = {
        attempt.out_trade_no: attempt
        for attempt in PaymentAttempt.objects.select_related("channel").filter(out_trade_no__in=numbers)
    }
    said = [_receipt_of(each, attempts.get(each.evidence.out_trade_no), now) for each in heard]
    said.sort(key=lambda receipt: (receipt.channel_id, receipt.provider_txn_id))
    new = insert_new(said, unique=["channel", "provider_txn_id"])
    to_settle = {receipt.pk: receipt.shop_id for receipt in new if receipt.status == ReceiptStatus.RECORDED}
    promise_all("payments.settle_receipts", to_settle, now=now)
    return new + [_recorded_before(receipt) for receipt in said if receipt.pk is None]


def _receipt_of(news: News, attempt: PaymentAttempt | None, now: datetime) -> Receipt:
    channel, evidence = news.channel, news.evidence
    if attempt is not None and attempt.channel.account == channel.account:
        channel = attempt.channel
    else:
        attempt = None
        channel = sharing_account(channel).order_by("pk").first() or channel
    return Receipt(
        shop_id=channel.shop_id,
        channel=channel,
        provider_txn_id=evidence.provider_txn_id,
        attempt=attempt,
        amount_minor=evidence.amount_minor,
        currency=evidence.currency,
        source=news.source,
        received_at=now,
        status=ReceiptStatus.ATTENTION if evidence.gone_back else ReceiptStatus.RECORDED,
        attention=GONE_BACK if evidence.gone_back else "",
    )


def _recorded_before(said: Receipt) -> Receipt:
    """The receipt that stands for the same transaction, flagged if it now sounds different."""
    receipt = Receipt.objects.get(channel=said.channel_id, provider_txn_id=said.provider_txn_id)
    if (receipt.attempt_id, receipt.amount_minor) != (said.attempt_id, said.amount_minor):
        # A reason that a person has still to see is kept, and one resolved is not raised again.
        free = ~Q(attention=CONTRADICTS) & (Q(attention="") | Q(resolved_at__isnull=False))
        flag(Receipt.objects.filter(free, pk=receipt.pk), CONTRADICTS)
        logger.error("evidence contradicts receipt", receipt=receipt.pk)
    return receipt


def settle_receipts(receipt_ids: Sequence[int], now: datetime) -> Failures:
    """Decide what recorded money means: the plain cases in one transaction, the others one by one.

    Returns those that failed; repeating it is a no-op.
    """
    failed: dict[int, Exception] = {}
    for receipt_id in _settle_plain(receipt_ids, now):
        try:
            settle_receipt(receipt_id, now=now)
        except Exception as error:  # noqa: BLE001  whatever is odd about it keeps no other waiting
            failed[receipt_id] = error
    return failed


@transaction.atomic(durable=True)
def _settle_plain(receipt_ids: Sequence[int], now: datetime) -> list[int]:
    """Settle what is exactly what was owed, in time and alone; returns the ids of the rest."""
    recorded = Receipt.objects.filter(pk__in=receipt_ids, status=ReceiptStatus.RECORDED)
    payment_of: dict[int, int | None] = dict(recorded.values_list("pk", "attempt__payment"))
    payment_ids = {payment for payment in payment_of.values() if payment is not None}
    payments: list[Payment]
    receipts: list[Receipt]
    orders: list[Order]
    payments, _attempts, receipts, orders = lock_rows(
        Payment.objects.filter(pk__in=payment_ids),
        PaymentAttempt.objects.filter(receipts__in=list(payment_of)),
        Receipt.objects.filter(attempt__payment__in=payment_ids).select_related("attempt"),
        Order.objects.filter(payment__in=payment_ids),
    )
    order_by_id = {order.pk: order for order in orders}
    money: dict[int, list[Receipt]] = defaultdict(list)
    for receipt in receipts:
        if receipt.attempt is not None:
            money[receipt.attempt.payment_id].append(receipt)
    plain = [
        (payment, money[payment.pk][0], order_by_id[payment.order_id])
        for payment in payments
        if _is_plain(payment, money[payment.pk], order_by_id[payment.order_id])
    ]
    if plain:
        _settle_all(
            [payment for payment, _, _ in plain],
            [receipt for _, receipt, _ in plain],
            [order for _, _, order in plain],
            now,
        )
    settled = {receipt.pk for receipt in receipts if receipt.status != ReceiptStatus.RECORDED}
    settled.update(receipt.pk for _, receipt, _ in plain)
    return [receipt_id for receipt_id in payment_of if receipt_id not in settled]


def _is_plain(payment: Payment, receipts: list[Receipt], order: Order) -> bool:
    if payment.status != PaymentStatus.OPEN or order.status not in UNPAID_LIVE or len(receipts) != 1:
        return False
    (receipt,) = receipts
    return (receipt.status, receipt.currency, receipt.amount_minor) == (
        ReceiptStatus.RECORDED,
        payment.currency,
        payment.amount_minor,
    )


def _settle_all(payments: list[Payment], receipts: list[Receipt], orders: list[Order], now: datetime) -> None:
    """What _settle does for each of them; every row is locked."""
    Payment.objects.filter(pk__in=[payment.pk for payment in payments]).update(
        status=PaymentStatus.SUCCEEDED, succeeded_at=now
    )
    PaymentAttempt.objects.filter(pk__in=[receipt.attempt_id for receipt in receipts]).update(
        status=AttemptStatus.SUCCEEDED, next_query_at=None
    )
    Receipt.objects.filter(pk__in=[receipt.pk for receipt in receipts]).update(status=ReceiptStatus.APPLIED)
    mark_all_paid(orders, reason=IN_TIME, now=now)
    _call_off_others(payments, now)
    _tell_router([receipt.attempt for receipt in receipts], now)


@transaction.atomic(durable=True)
def settle_receipt(receipt_id: int, *, now: datetime) -> None:
    """Decide what recorded money means. Repeating it is a no-op."""
    unlocked = Receipt.objects.select_related("attempt__payment").get(pk=receipt_id)
    if unlocked.status != ReceiptStatus.RECORDED:
        return
    if (attempt := unlocked.attempt) is None:
        _put_before_person(unlocked, UNKNOWN)
        return
    (payment,), _attempt, receipts, (order,) = lock_rows(
        Payment.objects.filter(pk=attempt.payment_id),
        PaymentAttempt.objects.filter(pk=attempt.pk),
        Receipt.objects.filter(attempt__payment=attempt.payment_id),
        Order.objects.filter(pk=attempt.payment.order_id),
    )
    receipt = next(receipt for receipt in receipts if receipt.pk == receipt_id)
    if receipt.status != ReceiptStatus.RECORDED:
        return
    PaymentAttempt.objects.filter(pk=attempt.pk).update(status=AttemptStatus.SUCCEEDED, next_query_at=None)
    _settle(receipt, receipts, payment, order, now)


def _settle(receipt: Receipt, receipts: list[Receipt], payment: Payment, order: Order, now: datetime) -> None:
    if receipt.currency != payment.currency:
        _put_before_person(receipt, WRONG_CURRENCY)
        return
    if payment.status == PaymentStatus.SUCCEEDED:
        _put_before_person(receipt, TWICE)
        note(order, reason="paid twice", actor=receipt.channel.slug, now=now)
        return
    # What a person has dealt with, or refunded a part of, pays for nothing any more.
    parts = [
        part
        for part in receipts
        if part == receipt
        or (part.status == ReceiptStatus.SHORT and part.resolved_at is None and not part.refunded_minor)
    ]
    received = sum(part.amount_minor for part in parts)
    if received < payment.amount_minor:
        flag(Receipt.objects.filter(pk=receipt.pk), SHORT, status=ReceiptStatus.SHORT)
        ask_for_attention(order, SHORT, now=now)
        return
    late = order.status not in UNPAID_LIVE
    try:
        with transaction.atomic():
            mark_paid(order, reason="late money" if late else IN_TIME, now=now)
    except (OutOfStock, LimitReached) as refusal:
        why = LATE if isinstance(refusal, OutOfStock) else OVER_LIMIT
        _put_before_person(receipt, why)
        ask_for_attention(order, why, now=now)
        return
    Payment.objects.filter(pk=payment.pk).update(status=PaymentStatus.SUCCEEDED, succeeded_at=now)
    _call_off_others([payment], now)
    _tell_router([receipt.attempt], now)
    applied = Receipt.objects.filter(pk__in=[part.pk for part in parts])
    applied.filter(attention=SHORT).update(attention="")
    applied.update(status=ReceiptStatus.APPLIED)
    if received > payment.amount_minor:
        flag(Receipt.objects.filter(pk=receipt.pk), OVER)


def _tell_router(attempts: Sequence[PaymentAttempt | None], now: datetime) -> None:
    """Which channels work, once it is certain. A courtesy: routing forgives whatever it is not told."""
    ids = [attempt.pk for attempt in attempts if attempt is not None]

    def tell() -> None:
        for attempt in PaymentAttempt.objects.select_related("channel").filter(pk__in=ids):
            router.note_paid(attempt, now=now)

    transaction.on_commit(tell, robust=True)


def _call_off_others(payments: Sequence[Payment], now: datetime) -> None:
    """What else the buyers began must not be paid on top of it."""
    others = PaymentAttempt.objects.filter(payment__in=payments, next_query_at__isnull=False)
    begun = dict(others.values_list("pk", "payment__shop"))
    promise_all("payments.call_off_attempts", begun, now=now)


def _put_before_person(receipt: Receipt, why: str) -> None:
    flag(Receipt.objects.filter(pk=receipt.pk), why, status=ReceiptStatus.ATTENTION)
    logger.warning("receipt needs attention", receipt=receipt.pk, why=why)


def flag(receipts: QuerySet[Receipt], why: str, **changes: str) -> None:
    """A new reason opens again what a person has resolved for an earlier one."""
    receipts.update(attention=why, resolved_at=None, resolved_by="", **changes)
