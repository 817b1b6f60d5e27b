"""Money arriving. One way in, whoever brings the news: notice, query, statement.

First the money is recorded, in a transaction of its own; what follows from it is a second step that
the outbox repeats until it is done.
"""

from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet

from cardshop.common.locks import lock_rows
from cardshop.outbox.services import promise
from inventory.errors import OutOfStock
from orders.models import Order
from orders.services.paying import mark_paid
from orders.services.transitions import ask_for_attention, note
from orders.states import UNPAID_LIVE
from payments.gateways.base import Evidence
from payments.models import Payment, PaymentAttempt, PaymentChannel, Receipt
from payments.states import AttemptStatus, PaymentStatus, ReceiptStatus

logger = structlog.get_logger(__name__)

UNKNOWN = "no payment of ours has this number"
CONTRADICTS = "the provider now says something else about this transaction"
WRONG_CURRENCY = "in another currency than was asked for"
TWICE = "the order was paid already: refund this"
LATE = "came after the hold had ended, and nothing was left: refund this"
SHORT = "less than the price: ask for the rest or refund"
OVER = "more than the price: refund the difference"


def apply_evidence(
    channel: PaymentChannel, evidence: Evidence, *, source: str, now: datetime
) -> Receipt | None:
    """Record what a provider says and let it have its consequences, once, however often it is said.

    Returns the receipt, or None when the evidence speaks of no money. The caller vouches for the
    evidence: it comes from the provider itself, not from a claim that a buyer's browser could hold.
    """
    if not evidence.paid:
        return None
    receipt, is_new = record_receipt(channel, evidence, source=source, now=now)
    if is_new:
        settle_receipt(receipt.pk, now=now)
    return receipt


@transaction.atomic(durable=True)
def record_receipt(
    channel: PaymentChannel, evidence: Evidence, *, source: str, now: datetime
) -> tuple[Receipt, bool]:
    """The receipt of this transaction, and whether this call recorded it.

    Channels may share one account at the provider, and then each of them is told of, and can ask
    about, the others' trades. So the receipt stands under the attempt's own channel, or else under the
    account's first: never twice for one transaction.
    """
    account = PaymentChannel.objects.filter(
        shop=channel.shop_id, base_url=channel.base_url, merchant_id=channel.merchant_id
    )
    attempt = PaymentAttempt.objects.filter(channel__in=account, out_trade_no=evidence.out_trade_no).first()
    channel = attempt.channel if attempt else account.order_by("pk").first() or channel
    receipt, is_new = Receipt.objects.get_or_create(
        channel=channel,
        provider_txn_id=evidence.provider_txn_id,
        defaults={
            "shop_id": channel.shop_id,
            "attempt": attempt,
            "amount_minor": evidence.amount_minor,
            "currency": evidence.currency,
            "source": source,
            "received_at": now,
        },
    )
    if is_new:
        promise("payments.settle_receipts", [receipt.pk], shop_id=channel.shop_id, now=now)
    elif (receipt.attempt, receipt.amount_minor) != (attempt, evidence.amount_minor):
        # A reason that a person has still to see is kept, and one resolved is not raised again.
        free = ~Q(attention=CONTRADICTS) & (Q(attention="") | Q(resolved_at__isnull=False))
        _flag(Receipt.objects.filter(free, pk=receipt.pk), CONTRADICTS)
        logger.error("evidence contradicts receipt", receipt=receipt.pk)
    return receipt, is_new


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
    # What a person has dealt with has most likely been refunded: it pays for nothing any more.
    parts = [
        part
        for part in receipts
        if part == receipt or (part.status == ReceiptStatus.SHORT and part.resolved_at is None)
    ]
    received = sum(part.amount_minor for part in parts)
    if received < payment.amount_minor:
        _flag(Receipt.objects.filter(pk=receipt.pk), SHORT, status=ReceiptStatus.SHORT)
        ask_for_attention(order, SHORT, now=now)
        return
    late = order.status not in UNPAID_LIVE
    try:
        with transaction.atomic():
            mark_paid(order, reason="late money" if late else "money received", now=now)
    except OutOfStock:
        _put_before_person(receipt, LATE)
        ask_for_attention(order, LATE, now=now)
        return
    Payment.objects.filter(pk=payment.pk).update(status=PaymentStatus.SUCCEEDED, succeeded_at=now)
    applied = Receipt.objects.filter(pk__in=[part.pk for part in parts])
    applied.filter(attention=SHORT).update(attention="")
    applied.update(status=ReceiptStatus.APPLIED)
    Order.objects.filter(pk=order.pk).update(attention="")
    if received > payment.amount_minor:
        _flag(Receipt.objects.filter(pk=receipt.pk), OVER)


def _put_before_person(receipt: Receipt, why: str) -> None:
    _flag(Receipt.objects.filter(pk=receipt.pk), why, status=ReceiptStatus.ATTENTION)
    logger.warning("receipt needs attention", receipt=receipt.pk, why=why)


def _flag(receipts: QuerySet[Receipt], why: str, **changes: str) -> None:
    """A new reason opens again what a person has resolved for an earlier one."""
    receipts.update(attention=why, resolved_at=None, resolved_by="", **changes)
