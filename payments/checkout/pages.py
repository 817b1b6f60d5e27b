"""What the order page and the order API show: one reading of the order for both."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from orders.models import Order, OrderItem
from orders.states import PAID_FOR, OrderStatus
from payments.models import PaymentChannel
from payments.selectors import attempts_of, enabled_channels, money_waits
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
    return OrderState(
        order=order,
        items=list(order.items.order_by("pk")),
        channels=list(enabled_channels(order)) if can_pay else [],
        seconds_left=max(0, int((order.reserved_until - now) / timedelta(seconds=1))) if pending else 0,
        can_pay=can_pay,
        can_cancel=pending,
        is_paid=order.status in PAID_FOR,
        has_keys=order.status in (OrderStatus.DELIVERED, OrderStatus.COMPLETED),
        money_received=order.status in PAID_FOR or money_waits(order),
        next_look=_next_look(order),
    )


def _next_look(order: Order) -> int | None:
    match order.status:
        case OrderStatus.PAID | OrderStatus.CLOSING:
            return 1
        case OrderStatus.PENDING:
            return 1 if attempts_of(order).exists() else 5
        case OrderStatus.EXPIRED | OrderStatus.CANCELLED:
            return 15  # late money may still revive it
        case _:
            return None
