"""Counts one day, from the rows. Doing it again replaces what was counted before."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, models

from cardshop.reports.models import DailyAttempts, DailyDeliveries, DailyOrders, DailySales

# What was given back between %(start)s and %(end)s, each with its line. Money without a line counts for the
# order's first one, as far as it is more than what had been paid on top of the price.
GIVEN_BACK = """
    WITH given_back AS MATERIALIZED (
        SELECT refund.shop_id, item.id AS item_id, item.variant_id, refund.currency,
               CASE WHEN refund.item_id IS NOT NULL THEN refund.amount_minor ELSE greatest(0, least(
                   refund.amount_minor, earlier.minor + refund.amount_minor - greatest(0, surplus.minor)
               )) END AS minor
        FROM payments_refund AS refund
        JOIN payments_payment AS payment ON payment.id = refund.payment_id
        JOIN payments_receipt AS receipt ON receipt.id = refund.receipt_id
        JOIN orders_orderitem AS item ON item.id = coalesce(
            refund.item_id, (SELECT min(id) FROM orders_orderitem WHERE order_id = payment.order_id))
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(came.amount_minor), 0) - payment.amount_minor AS minor
            FROM payments_receipt AS came
            JOIN payments_paymentattempt AS attempt ON attempt.id = came.attempt_id
            WHERE attempt.payment_id = payment.id AND came.status = 'applied'
        ) AS surplus
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(before.amount_minor), 0) AS minor
            FROM payments_refund AS before JOIN payments_receipt AS came ON came.id = before.receipt_id
            WHERE before.payment_id = payment.id AND before.item_id IS NULL AND before.status = 'done'
              AND came.status = 'applied' AND (before.ended_at, before.id) < (refund.ended_at, refund.id)
        ) AS earlier
        WHERE refund.status = 'done' AND refund.ended_at >= %(start)s AND refund.ended_at < %(end)s
          AND payment.succeeded_at IS NOT NULL AND receipt.status = 'applied'
    )"""

SALES = f"""{GIVEN_BACK}
    INSERT INTO reports_dailysales
        (day, shop_id, variant_id, currency, orders, units, revenue_minor, refunded_minor)
    SELECT %(day)s, shop_id, variant_id, currency, sum(orders), sum(units), sum(revenue), sum(refunded)
    FROM (
        SELECT payment.shop_id, item.variant_id, payment.currency,
               (item.id = first.id)::int AS orders, item.quantity AS units,
               item.quantity * item.unit_price_minor AS revenue, 0 AS refunded
        FROM payments_payment AS payment
        JOIN orders_orderitem AS item ON item.order_id = payment.order_id
        CROSS JOIN LATERAL (
            SELECT min(id) AS id FROM orders_orderitem WHERE order_id = payment.order_id
        ) AS first
        WHERE payment.succeeded_at >= %(start)s AND payment.succeeded_at < %(end)s
        UNION ALL
        SELECT shop_id, variant_id, currency, 0, 0, 0, minor FROM given_back
    ) AS happened
    GROUP BY shop_id, variant_id, currency"""  # noqa: S608  made of our own text

DELIVERIES = f"""{GIVEN_BACK}
    INSERT INTO reports_dailydeliveries
        (day, shop_id, batch_id, currency, units, revenue_minor, returned_minor)
    SELECT %(day)s, shop_id, batch_id, currency, sum(units), sum(revenue), sum(returned)
    FROM (
        SELECT "order".shop_id, card_key.batch_id, "order".currency, 1 AS units,
               CASE WHEN replaced.id IS NULL THEN item.unit_price_minor ELSE 0 END AS revenue, 0 AS returned
        FROM orders_deliveredkey AS delivered
        JOIN inventory_cardkey AS card_key ON card_key.id = delivered.card_key_id
        JOIN orders_orderitem AS item ON item.id = delivered.item_id
        JOIN orders_order AS "order" ON "order".id = item.order_id
        LEFT JOIN orders_deliveredkey AS replaced ON replaced.replaced_by_id = delivered.id
        WHERE delivered.delivered_at >= %(start)s AND delivered.delivered_at < %(end)s
        UNION ALL
        SELECT given_back.shop_id, first.batch_id, given_back.currency, 0, 0, given_back.minor
        FROM given_back
        CROSS JOIN LATERAL (
            SELECT card_key.batch_id
            FROM orders_deliveredkey AS delivered
            JOIN inventory_cardkey AS card_key ON card_key.id = delivered.card_key_id
            WHERE delivered.item_id = given_back.item_id ORDER BY delivered.id LIMIT 1
        ) AS first
    ) AS happened
    GROUP BY shop_id, batch_id, currency"""  # noqa: S608

ORDERS = """
    INSERT INTO reports_dailyorders (day, shop_id, status, orders)
    SELECT %(day)s, shop_id, status, count(*) FROM orders_order
    WHERE shop_id IN (SELECT id FROM shops_shop)  -- so that the index of the newest orders serves it
      AND placed_at >= %(start)s AND placed_at < %(end)s
      AND NOT is_top_up  -- they sell nothing
    GROUP BY shop_id, status"""

ATTEMPTS = """
    INSERT INTO reports_dailyattempts (day, shop_id, channel_id, attempts, paid)
    SELECT %(day)s, channel.shop_id, channel.id, count(*), count(*) FILTER (WHERE EXISTS (
        SELECT FROM payments_receipt AS came WHERE came.attempt_id = attempt.id AND came.status = 'applied'
    ))
    FROM payments_paymentattempt AS attempt
    JOIN payments_paymentchannel AS channel ON channel.id = attempt.channel_id
    WHERE attempt.started_at >= %(start)s AND attempt.started_at < %(end)s
    GROUP BY channel.shop_id, channel.id"""

STATEMENTS: Mapping[type[models.Model], str] = {
    DailySales: SALES,
    DailyDeliveries: DELIVERIES,
    DailyOrders: ORDERS,
    DailyAttempts: ATTEMPTS,
}


def count_day(day: date, *, until: datetime) -> None:
    """Count what happened on that day and before `until`. The caller holds the RollUp's lock."""
    begins, ends = bounds(day)
    asked: dict[str, Any] = {"day": day, "start": begins, "end": min(ends, until)}
    for model, statement in STATEMENTS.items():
        model._default_manager.filter(day=day).delete()
        with connection.cursor() as cursor:
            cursor.execute(statement, asked)


def zone() -> ZoneInfo:
    return ZoneInfo(settings.TIME_ZONE)


def day_of(moment: datetime) -> date:
    return moment.astimezone(zone()).date()


def bounds(day: date) -> tuple[datetime, datetime]:
    """The moments at which a day begins, and the next one does: 23 to 25 hours apart."""
    return (
        datetime.combine(day, time.min, zone()),
        datetime.combine(day + timedelta(days=1), time.min, zone()),
    )
