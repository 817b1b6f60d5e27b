"""What paying means for an order. Money itself is the payments app's business."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce

from cardshop.outbox.services import promise_all
from inventory.models import Fulfilment
from orders.models import Order, OrderItem
from orders.services.holds import claim_again, sell_holds
from orders.services.transitions import PROVIDER, transition_all
from orders.states import UNPAID_LIVE, OrderStatus


@transaction.atomic
def mark_paid(order: Order, *, reason: str, now: datetime) -> None:
    """The order is paid: its hold is a sale and its delivery a promise. The caller holds its lock.

    An expired or cancelled order claims fresh stock. Raises OutOfStock or LimitReached, and changes
    nothing then.
    """
    if order.status in UNPAID_LIVE:
        sell_holds([order])
    else:
        claim_again(order)
    _paid([order], reason=reason, now=now)


@transaction.atomic(savepoint=False)
def mark_all_paid(orders: Sequence[Order], *, reason: str, now: datetime) -> None:
    """The same for many whose holds are all alive. The caller holds their locks."""
    sell_holds(orders)
    for status in sorted({order.status for order in orders}):
        _paid([order for order in orders if order.status == status], reason=reason, now=now)


def _paid(orders: Sequence[Order], *, reason: str, now: datetime) -> None:
    # Whatever it waited for a person for was about money that was missing.
    transition_all(orders, OrderStatus.PAID, reason=reason, actor=PROVIDER, now=now, attention="")
    special = OrderItem.objects.filter(
        Q(variant__is_isolated=True) | Q(variant__fulfilment=Fulfilment.MANUAL), order__in=orders
    ).annotate(
        is_isolated=F("variant__is_isolated"),
        by_hand=Q(variant__fulfilment=Fulfilment.MANUAL),
        # What was promised with the order, or else what is promised now.
        hours=Coalesce("fulfil_within_hours", "variant__fulfil_within_hours"),
    )
    isolated, hours = set(), {}
    for order_id, line_id, is_isolated, by_hand, within in special.values_list(
        "order", "pk", "is_isolated", "by_hand", "hours"
    ):
        if is_isolated:
            isolated.add(order_id)
        if by_hand:
            hours[line_id] = within
    _let_a_person_fill_in(hours, now)
    # Whoever makes top-ups hears of them, and credits the account.
    goods = [order for order in orders if not order.is_top_up]
    for task, wanted in {"orders.deliver": False, "orders.deliver_isolated": True}.items():
        its_own = {order.pk: order.shop_id for order in goods if (order.pk in isolated) == wanted}
        promise_all(task, its_own, now=now)


def _let_a_person_fill_in(hours: Mapping[int, int], now: datetime) -> None:
    """Set by when lines should be filled in, each within its hours."""
    due = [OrderItem(pk=pk, due_at=now + timedelta(hours=within)) for pk, within in hours.items()]
    OrderItem.objects.bulk_update(due, ["due_at"])
