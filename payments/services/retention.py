"""What was known of buyers, and what providers have said of them. The money stays in the books for ever.

An order forgets the contact, the answers, and the keys that stand for buyer and address, once there is
nothing left that could concern the buyer. `buyer_key` stays where a variant of it has a limit per buyer,
which would otherwise begin anew with each year; elsewhere it becomes a key that nobody has (docs/adr/0019).
"""

from collections.abc import Collection
from datetime import datetime

from django.db.models import Case, CharField, Exists, F, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Cast, Concat

from cardshop.common.retention import Retention, delete, still_so
from cardshop.outbox.models import OutboxMessage
from orders.models import Order, OrderItem
from orders.states import OrderStatus
from payments.models import PaymentAttempt, Receipt, Refund, RefusedNotice, WebhookEvent
from payments.selectors import WAITS_FOR_PERSON
from payments.states import EventOutcome, RefundStatus

NOBODY = "nobody:"  # and the order's id: equal to no other order's

_ANSWERED = Exists(OrderItem.objects.filter(order=OuterRef("pk"), answers__isnull=False))
_LIMITED = Exists(OrderItem.objects.filter(order=OuterRef("pk"), variant__per_buyer_limit__isnull=False))
_MONEY = Receipt.objects.filter(attempt__payment__order=OuterRef("pk"))
_MONEY_WAITS = Exists(_MONEY.filter(WAITS_FOR_PERSON))
_GOES_BACK = Exists(
    Refund.objects.filter(payment__order=OuterRef("pk")).exclude(status__in=RefundStatus.ended())
)
_IS_PROMISED_SOMETHING = Exists(
    OutboxMessage.objects.filter(task__startswith="orders.", subject_id=OuterRef("pk"), done_at=None)
)


def _orders(statuses: Collection[str], moment: datetime) -> QuerySet[Order]:
    knows_key = ~Q(buyer_key__startswith=NOBODY) & ~_LIMITED
    knows_buyer = ~Q(contact_email="") | ~Q(address_key="") | knows_key | _ANSWERED
    over = Order.objects.filter(knows_buyer, status__in=statuses, placed_at__lt=moment, attention="")
    return over.exclude(_MONEY_WAITS).exclude(_GOES_BACK).exclude(_IS_PROMISED_SOMETHING)


def _paid_for(moment: datetime) -> QuerySet[Order]:
    return _orders([OrderStatus.COMPLETED, OrderStatus.REFUNDED], moment)


def _never_paid(moment: datetime) -> QuerySet[Order]:
    return _orders([OrderStatus.EXPIRED, OrderStatus.CANCELLED], moment)


def _forget_buyers(rows: QuerySet[Order]) -> int:
    nobody = Concat(Value(NOBODY), Cast("pk", CharField()))
    over = still_so(rows)
    OrderItem.objects.filter(order__in=over).update(answers=None)
    return over.update(
        contact_email="", address_key="", buyer_key=Case(When(_LIMITED, then=F("buyer_key")), default=nobody)
    )


def _ways_of_paying(moment: datetime) -> QuerySet[PaymentAttempt]:
    """Addresses and calls that a payer was sent with, and that may say who it was."""
    knows_payer = ~Q(pay_url="") | ~Q(qr="") | ~Q(app_url="") | ~Q(app_call={})
    return PaymentAttempt.objects.filter(knows_payer, started_at__lt=moment, next_query_at=None).exclude(
        payment__order__status__in=[OrderStatus.PENDING, OrderStatus.CLOSING]
    )


def _forget_ways(rows: QuerySet[PaymentAttempt]) -> int:
    return still_so(rows).update(pay_url="", qr="", app_url="", app_call={})


def _notices(moment: datetime) -> QuerySet[WebhookEvent]:
    says_something = ~Q(query="") | ~Q(body="") | ~Q(headers={})
    return WebhookEvent.objects.filter(says_something, received_at__lt=moment).exclude(
        outcome=EventOutcome.WAITING
    )


def _forget_what_they_said(rows: QuerySet[WebhookEvent]) -> int:
    """The row stays: a notice that comes once more is known by its digest."""
    return rows.update(query="", body="", headers={})


def _refused(moment: datetime) -> QuerySet[RefusedNotice]:
    return RefusedNotice.objects.filter(at__lt=moment)


RETENTIONS = [
    Retention("buyers of orders that were paid", "RETAIN_BUYERS_DAYS", _paid_for, _forget_buyers),
    Retention("buyers of orders that were not", "RETAIN_UNPAID_DAYS", _never_paid, _forget_buyers),
    Retention("pages and calls to pay with", "RETAIN_NOTICES_DAYS", _ways_of_paying, _forget_ways),
    Retention("what providers' notices said", "RETAIN_NOTICES_DAYS", _notices, _forget_what_they_said),
    Retention("notices that were refused", "RETAIN_NOTICES_DAYS", _refused, delete),
]
