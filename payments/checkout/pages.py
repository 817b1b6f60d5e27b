"""What the order page and the order API show: one reading of the order for both."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import connection

from cardshop.common.errors import NotHere
from cardshop.common.rows import columns, instance
from cardshop.shops.models import Shop
from orders.models import Order, OrderItem
from orders.states import PAID_FOR, ItemStatus, OrderStatus
from payments.selectors import Way, ways_to_pay
from payments.services.attempts import last_call
from payments.states import ReceiptStatus

# The page asks every second. A payment exists from the first attempt on, and `waits` is money that came
# and could not be applied by itself: a person has still to see to it.
_READ = f"""
    SELECT {columns(Order, "order")},
        (SELECT json_agg(item ORDER BY item.id) FROM (
            SELECT {columns(OrderItem, "item")} FROM orders_orderitem AS item
            WHERE item.order_id = "order".id
        ) AS item),
        payment.id IS NOT NULL,
        EXISTS (
            SELECT FROM payments_paymentattempt AS attempt
            JOIN payments_receipt AS receipt ON receipt.attempt_id = attempt.id
            WHERE attempt.payment_id = payment.id AND receipt.status IN %(unapplied)s
                AND receipt.attention <> '' AND receipt.resolved_at IS NULL
        )
    FROM orders_order AS "order" LEFT JOIN payments_payment AS payment ON payment.order_id = "order".id
    WHERE "order".shop_id = %(shop)s AND "order".token = %(token)s"""  # noqa: S608  columns of ours
_UNAPPLIED = (ReceiptStatus.SHORT.value, ReceiptStatus.ATTENTION.value)


@dataclass(frozen=True)
class OrderState:
    """`seconds_left` of the hold, 0 when it has ended; `next_look` seconds until asking again pays."""

    order: Order
    items: list[OrderItem]
    ways: list[Way]
    seconds_left: int
    can_pay: bool
    can_cancel: bool
    is_paid: bool
    has_keys: bool
    money_received: bool
    is_refunding: bool
    next_look: int | None


def order_state(shop: Shop, token: str, now: datetime) -> OrderState:
    """The order that the link opens, as its buyer may see it at `now`, in one query. Raises NotHere."""
    with connection.cursor() as cursor:
        cursor.execute(_READ, {"shop": shop.pk, "token": token, "unapplied": _UNAPPLIED})
        row = cursor.fetchone()
    if row is None:
        raise NotHere
    *values, items, was_tried, waits = row
    order = instance(Order, values)
    structlog.contextvars.bind_contextvars(order=order.number)
    order.shop = shop
    lines = [OrderItem(**item) for item in items or ()]
    pending = order.status == OrderStatus.PENDING
    can_pay = pending and now < last_call(order)
    is_paid = order.status in PAID_FOR
    return OrderState(
        order=order,
        items=lines,
        ways=ways_to_pay(order) if can_pay else [],
        seconds_left=max(0, int((order.reserved_until - now) / timedelta(seconds=1))) if pending else 0,
        can_pay=can_pay,
        can_cancel=pending,
        is_paid=is_paid,
        has_keys=order.status in (OrderStatus.DELIVERED, OrderStatus.COMPLETED),
        money_received=is_paid or waits,
        is_refunding=any(item.status == ItemStatus.REFUNDING for item in lines),
        next_look=_next_look(order, was_tried=was_tried),
    )


def _next_look(order: Order, *, was_tried: bool) -> int | None:
    match order.status:
        case OrderStatus.PAID | OrderStatus.CLOSING:
            return 1
        case OrderStatus.PENDING:
            return 1 if was_tried else 5
        case OrderStatus.EXPIRED | OrderStatus.CANCELLED:
            return 15  # late money may still revive it
        case _:
            return None
