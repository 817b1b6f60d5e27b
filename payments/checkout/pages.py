"""What the order page and the order API show: one reading of the order for both."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from orders.models import Order, OrderItem
from orders.states import PAID_FOR, OrderStatus
from payments.models import PaymentChannel
from payments.selectors import MoneySeen, enabled_channels, money_seen
from payments.services.attempts import last_call


@dataclass(frozen=True)
class OrderState:
    """`seconds_left` of the hold, 0 when it has ended; `next_look` seconds until asking again pays."""

    order: Order
    items: list[OrderItem]
    channels: list[PaymentChannel]
    seconds_left: int
    can_pay: bool
    can_cancel: bool
    is_paid: bool
    has_keys: bool
    money_received: bool
    next_look: int | None


def order_state(order: Order, now: datetime) -> OrderState:
    """The order as its buyer may see it at `now`."""
    pending = order.status == OrderStatus.PENDING
    can_pay = pending and now < last_call(order)
    is_paid = order.status in PAID_FOR
    money = MoneySeen(was_tried=True, waits=False) if is_paid else money_seen(order)
    return OrderState(
        order=order,
        items=list(order.items.order_by("pk")),
        channels=list(enabled_channels(order)) if can_pay else [],
        seconds_left=max(0, int((order.reserved_until - now) / timedelta(seconds=1))) if pending else 0,
        can_pay=can_pay,
        can_cancel=pending,
        is_paid=is_paid,
        has_keys=order.status in (OrderStatus.DELIVERED, OrderStatus.COMPLETED),
        money_received=is_paid or money.waits,
        next_look=_next_look(order, money),
    )


def _next_look(order: Order, money: MoneySeen) -> int | None:
    match order.status:
        case OrderStatus.PAID | OrderStatus.CLOSING:
            return 1
        case OrderStatus.PENDING:
            return 1 if money.was_tried else 5
        case OrderStatus.EXPIRED | OrderStatus.CANCELLED:
            return 15  # late money may still revive it
        case _:
            return None
