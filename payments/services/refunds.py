"""Deciding that money goes back: asked for by one person, let go by another where the shop wants two.

From then on it is promised, and `refund_sending` deals with the provider.
"""

import secrets
from collections.abc import Callable
from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import F, Q, Sum
from django.utils.translation import gettext_lazy as _

from cardshop.common.errors import DomainError
from cardshop.common.locks import lock_rows
from cardshop.common.money import display
from cardshop.outbox.services import promise
from orders.models import Order, OrderItem
from orders.services import fulfilling
from orders.services.giving_back import begin_giving_back
from orders.services.replacing import REPLACED
from orders.services.transitions import ask_for_attention, note
from orders.states import PAID_FOR, ItemStatus, OrderStatus
from payments.gateways import gateway_for
from payments.gateways.base import Ability, GatewayError
from payments.metrics import refunds
from payments.models import Balance, Payment, PaymentChannel, Receipt, Refund
from payments.services.evidence import ORDER_WAITS_TOO, SHORT, flag
from payments.services.topping_up import lock_account_of, put_back_on, take_off
from payments.states import ReceiptStatus, RefundStatus

logger = structlog.get_logger(__name__)

ASKED_FOR = "refund asked for"
DECLINED = "refund declined"


class NotRefundable(DomainError):
    code = "not_refundable"
    http_status = 409
    message = _("This cannot be refunded.")


class TooMuch(NotRefundable):
    code = "too_much"
    message = _("That is more than is left of this money.")


class OwnRequest(DomainError):
    code = "own_request"
    http_status = 403
    message = _("Somebody else has to approve a refund that you asked for.")


@transaction.atomic(durable=True)
def request_refund(
    receipt: Receipt,
    *,
    amount_minor: int,
    item: OrderItem | None = None,
    reason: str,
    actor: str,
    now: datetime,
    still: Callable[[], bool] | None = None,
) -> Refund:
    """Give back `amount_minor` of what came, and with it a line of the order, if one is named.

    The money is set aside at once, so that all refunds of a receipt never come to more than it. With a line
    goes at most its price, and no less while its keys are still to be delivered; without one, of a paid order
    that waits for its keys, only what came on top of the price. A receipt that waited for a person is dealt
    with by this, and pays for nothing any more; so are refunds of it that the provider refused. Should this
    one come to nothing, it waits again. `still` is asked under the locks whether there is a reason left.

    What is refunded of a top-up leaves the account first.

    Raises NotRefundable, TooMuch, AlreadySpent.
    """
    if not can_refund(receipt.channel):
        raise NotRefundable(_("This provider cannot refund. Send the money back by hand and note it here."))
    account = lock_account_of(receipt)
    payment, locked, order = _lock(receipt)
    if still is not None and not still():
        raise NotRefundable(_("There is no reason for this refund any more."))
    _require_refundable(payment, locked, order, item, amount_minor)
    surplus = surplus_minor(payment) if account and payment else 0
    refund = Refund.objects.create(
        shop_id=locked.shop_id,
        payment=payment,
        receipt=locked,
        item=item,
        out_refund_no=f"R{now:%y%m%d}{secrets.token_hex(12)}",
        amount_minor=amount_minor,
        currency=locked.currency,
        reason=reason,
        status=RefundStatus.AWAITED if locked.shop.refunds_need_two else RefundStatus.REQUESTED,
        requested_by=actor,
        requested_at=now,
    )
    _set_aside(locked, amount_minor)
    if account is not None and order is not None:
        take_off(account, refund, order, surplus_minor=surplus, now=now)
    refused = Refund.objects.filter(receipt=locked, item=item, status=RefundStatus.FAILED, resolved_at=None)
    refused.update(resolved_at=now, resolved_by=actor)
    if order is not None:
        said = f"{ASKED_FOR}: {display(amount_minor, locked.currency)} {reason}"
        note(order, reason=said[:200], actor=actor, now=now)
    _take_off_the_waiting_list(locked, order, actor=actor, now=now)
    if refund.status == RefundStatus.REQUESTED:
        _let_go(refund, now)
    return refund


@transaction.atomic(durable=True)
def approve_refund(refund: Refund, *, actor: str, now: datetime) -> None:
    """The second person lets it go. Raises OwnRequest, NotRefundable when it was decided already, or the line
    has been given back otherwise, or delivered since it was asked for.
    """
    if actor == refund.requested_by:
        raise OwnRequest
    _payment, _receipt, order = _lock(refund.receipt)
    if order is not None and refund.item is not None and _was_delivered_meanwhile(order, refund):
        raise NotRefundable(
            _("Its keys have been delivered since: decline this refund, and ask again if the money is to go.")
        )
    _decide(refund, RefundStatus.REQUESTED, approved_by=actor)
    _let_go(refund, now)


@transaction.atomic(durable=True)
def decline_refund(refund: Refund, *, actor: str, now: datetime) -> None:
    """It does not go out. Raises NotRefundable when it was decided already."""
    account = lock_account_of(refund.receipt)
    _payment, receipt, order = _lock(refund.receipt)
    _decide(refund, RefundStatus.DECLINED, approved_by=actor, ended_at=now)
    if order is not None:
        note(order, reason=DECLINED, actor=actor, now=now)
    put_back(refund, receipt, order, account, now=now)


def put_back(
    refund: Refund, receipt: Receipt, order: Order | None, account: Balance | None, *, now: datetime
) -> None:
    """The refund came to nothing: what was set aside for it is ours still, or its account's, and waits for a
    person again if it did before. The caller holds the locks.
    """
    if account is not None:
        put_back_on(account, refund, now=now)
    kept = Receipt.objects.filter(pk=receipt.pk)
    kept.update(refunded_minor=F("refunded_minor") - refund.amount_minor)
    if not _was_dealt_with_by_refunding(receipt):
        return
    is_whole = receipt.refunded_minor == refund.amount_minor
    if receipt.attention == SHORT and receipt.status == ReceiptStatus.SHORT and is_whole:
        # It may pay for something again, with what has come meanwhile: settling decides anew.
        flag(kept, "", status=ReceiptStatus.RECORDED)
        promise("payments.settle_receipts", [receipt.pk], shop_id=receipt.shop_id, now=now)
        return
    flag(kept, receipt.attention)
    is_paid = order is not None and order.status in PAID_FOR | {OrderStatus.REFUNDED}
    if order is not None and not is_paid and receipt.attention in ORDER_WAITS_TOO:
        ask_for_attention(order, receipt.attention, now=now)


def _was_dealt_with_by_refunding(receipt: Receipt) -> bool:
    if not receipt.attention or receipt.resolved_at is None:
        return False
    return receipt.refunds.filter(requested_at=receipt.resolved_at, requested_by=receipt.resolved_by).exists()


def can_refund(channel: PaymentChannel) -> bool:
    """Whether its provider refunds at all, and can be asked to: not without the channel's secrets."""
    try:
        return Ability.REFUND in gateway_for(channel).can
    except GatewayError:
        return False


def refundable_minor(receipt: Receipt) -> int:
    return receipt.amount_minor - receipt.refunded_minor


def money_for(item: OrderItem) -> Receipt:
    """Of what paid for the order, the receipt with the most left. Raises NotRefundable."""
    applied = Receipt.objects.filter(attempt__payment__order=item.order_id, status=ReceiptStatus.APPLIED)
    receipts = list(applied.select_related("channel__shop").order_by("pk"))
    if not receipts:
        raise NotRefundable
    return max(receipts, key=refundable_minor)


def _lock(receipt: Receipt) -> tuple[Payment | None, Receipt, Order | None]:
    payments, (locked,), _refunds, orders = lock_rows(
        Payment.objects.filter(attempts__receipts=receipt),
        Receipt.objects.filter(pk=receipt.pk).select_related("shop"),
        Refund.objects.filter(receipt=receipt),
        Order.objects.filter(payment__attempts__receipts=receipt),
    )
    return next(iter(payments), None), locked, next(iter(orders), None)


def _require_refundable(
    payment: Payment | None, receipt: Receipt, order: Order | None, item: OrderItem | None, amount_minor: int
) -> None:
    """The rows are locked. Raises NotRefundable."""
    if receipt.status == ReceiptStatus.RECORDED:
        raise NotRefundable(_("What this money is for is just being decided. Try again in a moment."))
    if not 0 < amount_minor <= refundable_minor(receipt):
        raise TooMuch
    if item is not None:
        _require_line(receipt, order, item, amount_minor)
        return
    paid_for = payment if receipt.status == ReceiptStatus.APPLIED else None
    waits_for_keys = order is not None and order.status == OrderStatus.PAID
    if paid_for and waits_for_keys and amount_minor > surplus_minor(paid_for):
        raise NotRefundable(_("The keys of this order are still to be delivered: refund its lines."))


def _require_line(receipt: Receipt, order: Order | None, item: OrderItem, amount_minor: int) -> None:
    if order is None or item.order_id != order.pk or receipt.status != ReceiptStatus.APPLIED:
        raise NotRefundable(_("This money has not paid for that line."))
    fresh = OrderItem.objects.get(pk=item.pk)
    if fresh.status not in (ItemStatus.OPEN, ItemStatus.DELIVERED):
        raise NotRefundable(_("This line is being refunded already, or has been."))
    if Refund.objects.filter(item=item, status=RefundStatus.AWAITED).exists():
        raise NotRefundable(_("A refund of this line is waiting for a second person."))
    price_minor = fresh.unit_price_minor * fresh.quantity
    if amount_minor > price_minor:
        raise TooMuch
    owed_minor = min(price_minor, refundable_minor(receipt))
    if fresh.status == ItemStatus.OPEN and amount_minor < owed_minor:
        # The buyer loses the keys with it.
        raise NotRefundable(
            _("The keys of this line have not been delivered: with it goes all of %(amount)s.")
            % {"amount": display(owed_minor, receipt.currency)}
        )


def surplus_minor(payment: Payment) -> int:
    """What was applied on top of the price, less what is set aside for refunds of money alone."""
    applied = Receipt.objects.filter(attempt__payment=payment, status=ReceiptStatus.APPLIED)
    received = applied.aggregate(sum=Sum("amount_minor"))["sum"] or 0
    alone = payment.refunds.filter(item=None, receipt__in=applied).exclude(
        status__in=[RefundStatus.FAILED, RefundStatus.DECLINED]
    )
    given = alone.aggregate(sum=Sum("amount_minor"))["sum"] or 0
    return int(received - payment.amount_minor - given)


def _set_aside(receipt: Receipt, amount_minor: int) -> None:
    room = Receipt.objects.filter(pk=receipt.pk, refunded_minor__lte=F("amount_minor") - amount_minor)
    if not room.update(refunded_minor=F("refunded_minor") + amount_minor):
        raise TooMuch


def _take_off_the_waiting_list(receipt: Receipt, order: Order | None, *, actor: str, now: datetime) -> None:
    if not receipt.attention or receipt.resolved_at is not None:
        return
    Receipt.objects.filter(pk=receipt.pk).update(resolved_at=now, resolved_by=actor)
    if order is not None and order.attention == receipt.attention and order.status != OrderStatus.PAID:
        Order.objects.filter(pk=order.pk).update(attention="")


def _decide(refund: Refund, to: RefundStatus, **changes: object) -> None:
    awaited = Refund.objects.filter(pk=refund.pk, status=RefundStatus.AWAITED)
    if not awaited.update(status=to, **changes):
        raise NotRefundable(_("Somebody has decided about this refund already."))


def _was_delivered_meanwhile(order: Order, refund: Refund) -> bool:
    """The order's history tells: it is written under the order's lock, and clocks are read before that."""
    asked = order.events.filter(
        at=refund.requested_at, actor=refund.requested_by, reason__startswith=ASKED_FOR
    )
    delivered = order.events.filter(
        Q(before=OrderStatus.PAID, after=OrderStatus.DELIVERED)
        | Q(reason__startswith=REPLACED)
        | Q(reason__in=[fulfilling.PARTLY_FILLED_IN, fulfilling.REPLACED])
    )
    return delivered.filter(pk__gt=asked.values("pk")[:1]).exists()


def _let_go(refund: Refund, now: datetime) -> None:
    if refund.item is not None and not begin_giving_back(refund.item):
        raise NotRefundable(_("This line is being refunded already, or has been."))
    promise("payments.send_refunds", [refund.pk], shop_id=refund.shop_id, now=now)
    transaction.on_commit(lambda: refunds.labels(refund.receipt.channel.slug, "requested").inc(), robust=True)
