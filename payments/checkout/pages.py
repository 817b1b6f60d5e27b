"""What the order page and the order API show: one reading of the order for both."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import connection
from django.utils.timezone import localtime

from cardshop.common.errors import NotHere
from cardshop.common.rows import columns, instance
from cardshop.shops.models import Shop
from orders.models import Order, OrderItem
from orders.states import PAID_FOR, UNPAID_LIVE, ItemStatus, OrderStatus
from payments.selectors import Way, ways_to_pay
from payments.services.attempts import last_call
from payments.states import ReceiptStatus, RefundStatus

# The page asks every second. A payment exists from the first attempt on, and `waits` is money that came
# and could not be applied by itself: a person has still to see to it. What was refunded is read only where
# the order does not say it by itself: by state of the refund, as much as was in the order's currency.
_READ = f"""
    SELECT {columns(Order, "order")},
        (SELECT json_agg(item ORDER BY item.id) FROM (
            SELECT {columns(OrderItem, "item", but=["answers"])} FROM orders_orderitem AS item
            WHERE item.order_id = "order".id
        ) AS item),
        payment.id IS NOT NULL,
        EXISTS (
            SELECT FROM payments_paymentattempt AS attempt
            JOIN payments_receipt AS receipt ON receipt.attempt_id = attempt.id
            WHERE attempt.payment_id = payment.id AND receipt.status IN %(unapplied)s
                AND receipt.attention <> '' AND receipt.resolved_at IS NULL
        ),
        CASE WHEN "order".status NOT IN %(paid_for)s THEN (
            SELECT json_object_agg(status, amount_minor) FROM (
                SELECT status,
                    coalesce(sum(amount_minor) FILTER (WHERE currency = "order".currency), 0) AS amount_minor
                FROM payments_refund WHERE payment_id = payment.id GROUP BY status
            ) AS refund
        ) END
    FROM orders_order AS "order" LEFT JOIN payments_payment AS payment ON payment.order_id = "order".id
    WHERE "order".shop_id = %(shop)s AND "order".token = %(token)s"""  # noqa: S608  columns of ours
_UNAPPLIED = (ReceiptStatus.SHORT.value, ReceiptStatus.ATTENTION.value)
_PAID_FOR = tuple(status.value for status in PAID_FOR)


@dataclass(frozen=True)
class OrderState:
    """`seconds_left` of the hold, 0 when it has ended; `next_look` seconds until asking again pays.

    `money_received` for it and not sent back: it was paid, or a person has still to see to the money. Of an
    order that ended without having been paid, `is_refunding` and `is_refunded` speak of money that came all
    the same; `refunded_minor` is how much went back. `by_hand_within`: the hours within which a person fills
    in what is missing, once it is paid for; None where nothing is. `handed_over_at`: the last time that the
    buyer got something.
    """

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
    is_refunded: bool
    refunded_minor: int
    by_hand_within: int | None
    handed_over_at: str | None
    next_look: int | None


def order_state(shop: Shop, token: str, now: datetime) -> OrderState:
    """The order that the link opens, as its buyer may see it at `now`, in one query. Raises NotHere."""
    with connection.cursor() as cursor:
        cursor.execute(
            _READ, {"shop": shop.pk, "token": token, "unapplied": _UNAPPLIED, "paid_for": _PAID_FOR}
        )
        row = cursor.fetchone()
    if row is None:
        raise NotHere
    *values, items, was_tried, waits, refunds = row
    order = instance(Order, values)
    structlog.contextvars.bind_contextvars(order=order.number)
    order.shop = shop
    lines = [OrderItem(**item) for item in items or ()]
    pending = order.status == OrderStatus.PENDING
    can_pay = pending and now < last_call(order)
    is_paid = order.status in PAID_FOR
    is_over = order.status not in PAID_FOR | UNPAID_LIVE
    refunds = refunds or {}
    under_way = is_over and not {RefundStatus.REQUESTED, RefundStatus.SENT}.isdisjoint(refunds)
    return OrderState(
        order=order,
        items=lines,
        ways=ways_to_pay(order) if can_pay else [],
        seconds_left=max(0, int((order.reserved_until - now) / timedelta(seconds=1))) if pending else 0,
        can_pay=can_pay,
        can_cancel=pending,
        is_paid=is_paid,
        # Whatever is refunded, they stay the buyer's.
        has_keys=order.delivered_at is not None and not order.is_top_up,
        money_received=is_paid or waits or RefundStatus.AWAITED in refunds,
        is_refunding=under_way or any(item.status == ItemStatus.REFUNDING for item in lines),
        is_refunded=is_over and RefundStatus.DONE in refunds,
        refunded_minor=refunds.get(RefundStatus.DONE, 0),
        by_hand_within=_by_hand_within(order, lines),
        handed_over_at=localtime(order.delivered_at).isoformat() if order.delivered_at else None,
        next_look=_next_look(order, lines, was_tried=was_tried),
    )


def _by_hand_within(order: Order, lines: list[OrderItem]) -> int | None:
    if order.status not in UNPAID_LIVE | {OrderStatus.PAID}:
        return None
    promised = [line.fulfil_within_hours for line in lines if line.status == ItemStatus.OPEN]
    return max(filter(None, promised), default=None)


def _next_look(order: Order, lines: list[OrderItem], *, was_tried: bool) -> int | None:
    match order.status:
        # Only what is being refunded, or filled in by a person, is still to come.
        case OrderStatus.PAID if order.delivered_at or (lines and all(line.due_at for line in lines)):
            return 15
        case OrderStatus.PAID | OrderStatus.CLOSING:
            return 1
        case OrderStatus.PENDING:
            return 1 if was_tried else 5
        case OrderStatus.EXPIRED | OrderStatus.CANCELLED:
            return 15  # late money may still revive it
        case _:
            return None
