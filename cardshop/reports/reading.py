"""Reads of the figures: what is rolled up, and, of the money that came since, the rows themselves.

`shops` are the ids of those whose figures are wanted. Amounts are in minor units and never added up over
currencies. Days are those of settings.TIME_ZONE, and so is `today`.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import BooleanField, Case, F, Q, Sum, Value, When

from cardshop.reports.counting import bounds, day_of
from cardshop.reports.models import DailyAttempts, DailyDeliveries, DailyOrders, DailySales, RollUp

# The index of what came holds all that is asked for. Less what was paid on accounts, which is little: it buys
# nothing yet, and is counted once it does.
CAME = """
    WITH came AS (
        SELECT currency, succeeded_at, 1 AS orders, amount_minor FROM payments_payment
        WHERE succeeded_at >= %(start)s AND succeeded_at < %(end)s AND shop_id = ANY(%(shops)s)
        UNION ALL
        SELECT payment.currency, succeeded_at, -1, -payment.amount_minor
        FROM payments_topup AS top_up JOIN payments_payment AS payment USING (order_id)
        WHERE succeeded_at >= %(start)s AND succeeded_at < %(end)s AND shop_id = ANY(%(shops)s)
    )
    SELECT currency, (succeeded_at AT TIME ZONE %(zone)s)::date, sum(orders), sum(amount_minor)
    FROM came GROUP BY 1, 2 HAVING sum(orders) > 0"""
COST_IS_KNOWN = Case(
    When(batch__unit_cost_minor__isnull=False, batch__cost_currency=F("currency"), then=Value(True)),
    default=Value(False),
    output_field=BooleanField(),
)


@dataclass
class Sales:
    orders: int = 0
    units: int = 0
    revenue_minor: int = 0
    refunded_minor: int = 0


@dataclass(frozen=True)
class Profit:
    """Of `units` delivered: revenue less what was returned of it less their cost. `unknown_units` and
    `unknown_minor` are those, and their revenue, whose cost nobody has entered (in this currency): they are
    in none of the others.
    """

    units: int
    revenue_minor: int
    returned_minor: int
    cost_minor: int
    unknown_units: int
    unknown_minor: int

    @property
    def profit_minor(self) -> int:
        return self.revenue_minor - self.returned_minor - self.cost_minor


@contextmanager
def one_moment() -> Iterator[None]:
    """All that is read inside is of the same moment: what is rolled up, and what is not yet. Inside somebody
    else's transaction it is as they began it.
    """
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def rolled_up_to() -> datetime | None:
    return RollUp.objects.filter(pk=RollUp.ONLY).values_list("up_to", flat=True).first()


def sales_by_day(
    shops: Collection[int], *, since: date, now: datetime, up_to: datetime | None
) -> dict[str, dict[date, Sales]]:
    """By currency and day, with what has come since the roll-up; days without sales are left out.

    Of that youngest part units are not known: it is read from an index of the money.
    """
    sums = DailySales.objects.filter(shop__in=shops, day__gte=since).values_list("currency", "day")
    sales: dict[str, dict[date, Sales]] = defaultdict(dict)
    for currency, day, *counted in sums.annotate(
        Sum("orders"), Sum("units"), Sum("revenue_minor"), Sum("refunded_minor")
    ):
        sales[currency][day] = Sales(*counted)
    start = up_to or bounds(day_of(now))[0]
    for currency, day, orders, minor in _came(shops, start, now + timedelta(days=1)):
        of_day = sales[currency].setdefault(day, Sales())
        of_day.orders += orders
        of_day.revenue_minor += minor
    return dict(sales)


def paid_between(shops: Collection[int], start: datetime, end: datetime) -> dict[str, Sales]:
    """Orders paid and their revenue, by currency, from the index of the money."""
    sales: dict[str, Sales] = defaultdict(Sales)
    for currency, _day, orders, minor in _came(shops, start, end):
        sales[currency].orders += orders
        sales[currency].revenue_minor += minor
    return dict(sales)


def profit_by_day(shops: Collection[int], *, since: date) -> dict[str, dict[date, Profit]]:
    """By currency and day of delivery."""
    known = Q(is_known=True)
    rows = (
        DailyDeliveries.objects.filter(shop__in=shops, day__gte=since)
        .annotate(is_known=COST_IS_KNOWN, cost=F("units") * F("batch__unit_cost_minor"))
        .values_list("currency", "day")
        .annotate(
            known_units=Sum("units", filter=known, default=0),
            known_revenue=Sum("revenue_minor", filter=known, default=0),
            known_returned=Sum("returned_minor", filter=known, default=0),
            known_cost=Sum("cost", filter=known, default=0),
            unknown_units=Sum("units", filter=~known, default=0),
            unknown_revenue=Sum("revenue_minor", filter=~known, default=0),
        )
    )
    profits: dict[str, dict[date, Profit]] = defaultdict(dict)
    for currency, day, *counted in rows:
        profits[currency][day] = Profit(*counted)
    return dict(profits)


def orders_by_state(shops: Collection[int], *, since: date) -> dict[str, int]:
    """Of those placed since that day, how many are in each state."""
    counted = DailyOrders.objects.filter(shop__in=shops, day__gte=since).values_list("status")
    return dict(counted.annotate(Sum("orders")))


def attempts_by_channel(shops: Collection[int], *, since: date) -> list[dict[str, Any]]:
    """`method`, `name`, `attempts` and `paid` of every channel by which somebody began to pay."""
    counted = (
        DailyAttempts.objects.filter(shop__in=shops, day__gte=since)
        .values("channel", name=F("channel__name"), method=F("channel__method"))
        .annotate(attempts=Sum("attempts"), paid=Sum("paid"))
    )
    return [{**row} for row in counted.order_by("method", "-attempts", "channel")]


def best_variants(shops: Collection[int], *, since: date, limit: int) -> dict[str, list[dict[str, Any]]]:
    """`variant`, `units`, `revenue_minor` and `refunded_minor` of those that sold most, by currency."""
    rows = (
        DailySales.objects.filter(shop__in=shops, day__gte=since)
        .values("currency", "variant")
        .annotate(
            units=Sum("units"), revenue_minor=Sum("revenue_minor"), refunded_minor=Sum("refunded_minor")
        )
        .order_by("-revenue_minor", "variant")
    )
    best: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if len(best[row["currency"]]) < limit and row["units"]:
            best[row["currency"]].append({**row})
    return dict(best)


def units_sold(shops: Collection[int], variants: Collection[int], *, since: date) -> dict[int, int]:
    """By variant, in whatever currency."""
    counted = DailySales.objects.filter(shop__in=shops, day__gte=since, variant__in=variants)
    return dict(counted.values_list("variant").annotate(Sum("units")))


def _came(shops: Collection[int], start: datetime, end: datetime) -> list[tuple[str, date, int, int]]:
    asked: dict[str, Any] = {"zone": settings.TIME_ZONE, "start": start, "end": end, "shops": list(shops)}
    with connection.cursor() as cursor:
        cursor.execute(CAME, asked)
        return [(currency, day, orders, int(minor)) for currency, day, orders, minor in cursor.fetchall()]
