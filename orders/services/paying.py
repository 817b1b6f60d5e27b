"""What paying means for an order. Money itself is the payments app's business."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from cardshop.outbox.services import promise_all
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
    isolated = set(
        OrderItem.objects.filter(order__in=orders, variant__is_isolated=True).values_list("order", flat=True)
    )
    for task, wanted in {"orders.deliver": False, "orders.deliver_isolated": True}.items():
        its_own = {order.pk: order.shop_id for order in orders if (order.pk in isolated) == wanted}
        promise_all(task, its_own, now=now)
