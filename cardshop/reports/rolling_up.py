"""Follows what happens, and counts the days anew that it happened to.

Every change of an order leaves an OrderEvent, whose numbers only grow: the orders that have one since the
last time name the days, be they the day of a late payment or of an order of last year that is refunded today.
What was counted of those days is replaced, so it does not matter how often, or after which crash.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from cardshop.common.locks import lock_rows
from cardshop.reports.counting import count_day, day_of
from cardshop.reports.models import RollUp

# A transaction that began before the others may commit after them, and its rows have smaller numbers and
# earlier times. None lives half as long as these: statements and idle transactions are ended after 30 s.
LAG = timedelta(minutes=1)  # what is younger is not counted yet, but read live
MARGIN = timedelta(minutes=10)  # what is younger is looked at again the next time

TOUCHED = """
    WITH touched AS MATERIALIZED (
        SELECT DISTINCT order_id FROM orders_orderevent WHERE id > %(event_id)s
    ), happened AS (
        SELECT placed_at AS at FROM orders_order WHERE id IN (SELECT order_id FROM touched)
        UNION ALL
        SELECT succeeded_at FROM payments_payment
        WHERE order_id IN (SELECT order_id FROM touched) AND succeeded_at IS NOT NULL
        UNION ALL
        SELECT refund.ended_at FROM payments_refund AS refund
        JOIN payments_payment AS payment ON payment.id = refund.payment_id
        WHERE payment.order_id IN (SELECT order_id FROM touched) AND refund.status = 'done'
        UNION ALL
        SELECT delivered.delivered_at FROM orders_deliveredkey AS delivered
        JOIN orders_orderitem AS item ON item.id = delivered.item_id
        WHERE item.order_id IN (SELECT order_id FROM touched)
        UNION ALL
        SELECT attempt.started_at FROM payments_paymentattempt AS attempt
        JOIN payments_payment AS payment ON payment.id = attempt.payment_id
        WHERE payment.order_id IN (SELECT order_id FROM touched)
        UNION ALL
        SELECT started_at FROM payments_paymentattempt WHERE id > %(attempt_id)s
    )
    SELECT DISTINCT (at AT TIME ZONE %(zone)s)::date FROM happened"""
# Backwards from the newest: what is younger than the margin is little.
FOLLOWED = {
    "event_id": "SELECT id FROM orders_orderevent WHERE id > %s AND at < %s ORDER BY id DESC LIMIT 1",
    "attempt_id": """SELECT id FROM payments_paymentattempt
                     WHERE id > %s AND started_at < %s ORDER BY id DESC LIMIT 1""",
}


def roll_up(now: datetime) -> int:
    """Count the days that something has happened to since the last time; returns how many. Has twins."""
    seen = _state()
    up_to = now - LAG
    if seen.up_to is not None and up_to <= seen.up_to:
        return 0
    followed = {name: _followed(sql, getattr(seen, name), now) for name, sql in FOLLOWED.items()}
    days = _days_before(up_to) if seen.up_to is None else _touched(seen)
    last = {day_of(seen.up_to or up_to), day_of(up_to)} | {day for day in days if _is_open(day, seen, up_to)}
    earlier = sorted(days - last)
    for day in earlier:
        _count([day], until=up_to)
    _count(sorted(last), until=up_to, seen=seen, up_to=up_to, **followed)
    return len(earlier) + len(last)


def _is_open(day: date, seen: RollUp, up_to: datetime) -> bool:
    """Whether what is read live may be of that day: it is counted together with how far that goes."""
    return seen.up_to is not None and day_of(seen.up_to) <= day <= day_of(up_to)


@transaction.atomic(durable=True)
def _count(days: Iterable[date], *, until: datetime, seen: RollUp | None = None, **changes: object) -> None:
    """One after the other, under the lock of the only row; with `seen` that row goes on from there."""
    lock_rows(RollUp.objects.filter(pk=RollUp.ONLY))
    if seen is not None:
        unmoved = RollUp.objects.filter(pk=RollUp.ONLY, up_to=seen.up_to, zone=seen.zone)
        if not unmoved.update(zone=settings.TIME_ZONE, **changes):
            return  # a twin was faster, and has counted the same days
    for day in days:
        count_day(day, until=until)


def _state() -> RollUp:
    """Days that were made with another time zone are all made again."""
    state, _ = RollUp.objects.get_or_create(pk=RollUp.ONLY, defaults={"zone": settings.TIME_ZONE})
    if state.zone != settings.TIME_ZONE:
        state.up_to, state.event_id, state.attempt_id = None, 0, 0
        RollUp.objects.filter(pk=state.pk).update(up_to=None, event_id=0, attempt_id=0)
    return state


def _followed(sql: str, last: int, now: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, [last, now - MARGIN])
        row = cursor.fetchone()
    return row[0] if row else last


def _touched(seen: RollUp) -> set[date]:
    asked: dict[str, Any] = {
        "event_id": seen.event_id,
        "attempt_id": seen.attempt_id,
        "zone": settings.TIME_ZONE,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")  # after a long outage there is much to follow
        cursor.execute(TOUCHED, asked)
        return {row[0] for row in cursor.fetchall()}


def _days_before(up_to: datetime) -> set[date]:
    """Every day since the first order; and those beside them, if they were made with another time zone."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT min(placed_at) FROM orders_order")
        first = cursor.fetchone()[0]
    begin, end = day_of(min(first or up_to, up_to)), day_of(up_to)
    return {begin + timedelta(days=count) for count in range(-1, (end - begin).days + 2)}
