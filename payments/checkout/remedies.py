"""What waits for a person, and what is proposed for it: buttons that ask the usual machinery to work."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.db.models import QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from cardshop.common.errors import DomainError
from cardshop.common.money import display
from inventory.models import KeyRequest, RequestStatus
from orders.models import Order
from orders.services.fulfilling import OVERDUE
from orders.services.replacing import replace_closed_keys
from orders.services.revealing import CLOSED, closed_keys, keys_for_buyer
from orders.states import OrderStatus
from payments.checkout.helping import deliver_again
from payments.checkout.reasons import in_words
from payments.models import KeyRecall, Receipt, Refund, Statement
from payments.selectors import RECALL_WAITS, WAITS_FOR_PERSON
from payments.services import recalls, refunds
from payments.services.evidence import CONTRADICTS, GONE_BACK, OVER
from payments.services.reconciling import NOT_IN_STATEMENT
from payments.services.refund_sending import UNKNOWN, finish, send_again
from payments.services.refunds import can_refund, refundable_minor, request_refund, surplus_minor
from payments.services.resolving import NothingWaits
from payments.states import RecallStatus, RefundStatus

LISTED = 100


class Moved(DomainError):
    code = "moved"
    message = NothingWaits.message


class StillClosed(DomainError):
    code = "still_closed"
    message = _lazy("They still do not open.")


@dataclass(frozen=True)
class Remedy:
    """`act(actor=…, now=…)` raises DomainError where it is too late."""

    kind: str
    label: str | Promise
    act: Callable[..., object]


@dataclass(frozen=True)
class Waiting:
    """One thing that waits: what it is, since when and why, and what may be done."""

    row: Any
    title: str
    since: datetime | None
    why: str
    remedies: list[Remedy]


def waiting(seen: Callable[[QuerySet[Any]], QuerySet[Any]]) -> Iterator[Waiting]:
    """Of the rows that `seen` lets through, the oldest of each kind first, at most LISTED of each."""
    for order in seen(Order.objects.exclude(attention="")).order_by("pk")[:LISTED]:
        yield Waiting(order, order.number, order.placed_at, order.attention, remedies_of_order(order))
    receipts = Receipt.objects.filter(WAITS_FOR_PERSON).select_related("channel__shop", "attempt__payment")
    for receipt in seen(receipts).order_by("pk")[:LISTED]:
        money = f"{display(receipt.amount_minor, receipt.currency)} · {receipt.channel}"
        yield Waiting(receipt, money, receipt.received_at, receipt.attention, remedies_of_receipt(receipt))
    for refund in seen(Refund.objects.filter(WAITS_FOR_PERSON)).order_by("pk")[:LISTED]:
        yield _waiting_refund(refund, refund.attention)
    statements = Statement.objects.filter(WAITS_FOR_PERSON).select_related("channel")
    for statement in seen(statements).order_by("pk")[:LISTED]:
        yield Waiting(statement, str(statement), statement.read_at, statement.attention, [])
    for refund in seen(Refund.objects.filter(status=RefundStatus.AWAITED)).order_by("pk")[:LISTED]:
        yield _waiting_refund(refund, refund.get_status_display())
    recalls = KeyRecall.objects.filter(RECALL_WAITS).select_related("batch__variant__product")
    for recall in seen(recalls)[:LISTED]:
        why = recall.halted or recall.get_status_display()
        yield Waiting(recall, str(recall), recall.asked_at, why, remedies_of_recall(recall))
    asked = KeyRequest.objects.filter(status=RequestStatus.AWAITED).select_related("batch__variant__product")
    for request in seen(asked)[:LISTED]:  # decided on its page, with a fresh code
        yield Waiting(request, str(request), request.asked_at, request.get_status_display(), [])


def remedies_of_order(order: Order) -> list[Remedy]:
    if order.attention == CLOSED:
        return [
            Remedy("look", _("Try to open them again"), partial(_look_again, order)),
            Remedy("replace", _("Replace what does not open"), partial(_replace_closed, order)),
        ]
    if order.status != OrderStatus.PAID or order.attention in ("", OVERDUE):
        return []  # what is overdue is filled in on a page of its own

    def deliver(*, actor: str, now: datetime) -> None:
        deliver_again(order, actor=actor, now=now)

    return [Remedy("deliver", _("Deliver again"), deliver)]


def _look_again(order: Order, *, actor: str, now: datetime) -> None:
    if closed_keys(keys_for_buyer(order, now=now)):
        raise StillClosed


def _replace_closed(order: Order, *, actor: str, now: datetime) -> None:
    replace_closed_keys(order, actor=actor, now=now)
    keys_for_buyer(order, now=now)  # which takes the order off the list


def remedies_of_receipt(receipt: Receipt) -> list[Remedy]:
    """Of most of it the proposal is to give it back: all of it, or what came on top."""
    amount_minor = _to_give_back(receipt)
    if receipt.resolved_at or not receipt.attention or amount_minor <= 0 or not can_refund(receipt.channel):
        return []

    def refund(*, actor: str, now: datetime) -> None:
        fresh = Receipt.objects.get(pk=receipt.pk)
        if (fresh.attention, fresh.resolved_at) != (receipt.attention, None):
            raise Moved
        request_refund(receipt, amount_minor=amount_minor, reason=receipt.attention, actor=actor, now=now)

    return [Remedy("refund", _("Refund %s") % display(amount_minor, receipt.currency), refund)]


def remedies_of_refund(refund: Refund) -> list[Remedy]:
    def came_through(*, actor: str, now: datetime) -> None:
        if not finish(refund, actor=actor, now=now):
            raise Moved

    def again(*, actor: str, now: datetime) -> None:
        send_again(refund, actor=actor, now=now)

    def approve(*, actor: str, now: datetime) -> None:
        refunds.approve_refund(refund, actor=actor, now=now)

    def decline(*, actor: str, now: datetime) -> None:
        refunds.decline_refund(refund, actor=actor, now=now)

    if refund.status == RefundStatus.AWAITED:
        return [Remedy("approve", _("Approve"), approve), Remedy("decline", _("Decline"), decline)]
    if refund.status != RefundStatus.SENT or not refund.attention:
        return []
    remedies = [Remedy("came-through", _("It was refunded"), came_through)]
    if refund.attention == UNKNOWN:  # else the shop itself may be sending it at this moment
        remedies.append(Remedy("again", _("It was not: send it again"), again))
    return remedies


def remedies_of_recall(recall: KeyRecall) -> list[Remedy]:
    def approve(*, actor: str, now: datetime) -> None:
        recalls.approve_recall(recall, actor=actor, now=now)

    def decline(*, actor: str, now: datetime) -> None:
        recalls.decline_recall(recall, actor=actor, now=now)

    def go_on(*, actor: str, now: datetime) -> None:
        recalls.go_on_with(recall, now=now)

    if recall.status == RecallStatus.AWAITED:
        return [Remedy("approve", _("Approve"), approve), Remedy("decline", _("Decline"), decline)]
    return [Remedy("go-on", _("Go on"), go_on)] if recall.status == RecallStatus.RUNNING else []


def _to_give_back(receipt: Receipt) -> int:
    if receipt.attention in (CONTRADICTS, GONE_BACK, NOT_IN_STATEMENT):
        return 0  # nobody knows what is true: no proposal
    left = refundable_minor(receipt)
    if receipt.attention != OVER or receipt.attempt is None:
        return left
    return min(left, surplus_minor(receipt.attempt.payment))


def _waiting_refund(refund: Refund, why: str) -> Waiting:
    title = f"{display(refund.amount_minor, refund.currency)} · {in_words(refund.reason)}"
    return Waiting(refund, title, refund.requested_at, why, remedies_of_refund(refund))
