"""What paying means for an order. Money itself is the payments app's business."""

from datetime import datetime

from django.db import transaction

from cardshop.outbox.services import promise
from orders.models import Order
from orders.services.holds import claim_again, sell_holds
from orders.services.transitions import PROVIDER, transition
from orders.states import UNPAID_LIVE, OrderStatus


@transaction.atomic
def mark_paid(order: Order, *, reason: str, now: datetime) -> None:
    """The order is paid: its hold is a sale and its delivery a promise. The caller holds its lock.

    An expired or cancelled order claims fresh stock. Raises OutOfStock, and changes nothing then.
    """
    if order.status in UNPAID_LIVE:
        sell_holds(order)
    else:
        claim_again(order)
    transition(order, OrderStatus.PAID, reason=reason, actor=PROVIDER, now=now)
    promise("orders.deliver", [order.pk], shop_id=order.shop_id, now=now)
