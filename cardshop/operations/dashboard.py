"""The admin's first page: how the shop does, and what a person has to see to.

Figures of days come from the roll-up (`cardshop.reports`), so the page costs the same for ten thousand orders
as for a million. Currencies are never added up: each has figures of its own.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Count, F, Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.http import urlencode
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cardshop.common.clock import db_now
from cardshop.common.money import display
from cardshop.common.shop_scope import within
from cardshop.common.templatetags.shopfront import localized
from cardshop.operations.charts import bars
from cardshop.operations.first_steps import still_to_do
from cardshop.reports import reading
from cardshop.reports.counting import day_of
from cardshop.reports.reading import Profit, Sales
from cardshop.shops.models import Shop
from inventory.models import Stock, Variant
from orders.models import Order, OrderItem
from orders.services.fulfilling import WAITING
from orders.states import OrderStatus
from payments.models import PaymentChannel, Receipt, Refund
from payments.selectors import WAITS_FOR_PERSON
from payments.states import RefundStatus

DAYS = 30
PACE_DAYS = 7  # from which is told how long stock will last
LISTED = 8
STALE = timedelta(minutes=10)
METHODS = dict(PaymentChannel.METHODS)
UNKNOWN = "–"


def shops_of(request: HttpRequest) -> QuerySet[Shop]:
    """The shops whose figures this person may see: the one place that decides it."""
    return within(request, Shop.objects.order_by("pk"))


def figures(request: HttpRequest) -> dict[str, Any]:
    """What this person may see of one of their shops: the first, or the one that `?shop=` names."""
    first = {"first_steps": still_to_do(request)}
    shops = list(shops_of(request))
    shop = next((each for each in shops if str(each.pk) == request.GET.get("shop")), next(iter(shops), None))
    if shop is None:
        return {"shop": None, **first}
    now = db_now()
    with reading.one_moment():
        return {"shops": shops if len(shops) > 1 else [], "shop": shop, **first, **_seen(request, shop, now)}


def _seen(request: HttpRequest, shop: Shop, now: datetime) -> dict[str, Any]:
    may, ids = request.user.has_perm, [shop.pk]
    since = day_of(now) - timedelta(days=DAYS - 1)
    up_to = reading.rolled_up_to()
    seen: dict[str, Any] = {"waiting": _waiting(request, shop)}
    if may("payments.view_payment"):
        sales = reading.sales_by_day(ids, since=since, now=now, up_to=up_to)
        profits = reading.profit_by_day(ids, since=since) if may("inventory.view_keybatch") else {}
        best = reading.best_variants(ids, since=since, limit=LISTED)
        earlier = _earlier(ids, now)
        names = _names(row["variant"] for rows in best.values() for row in rows)
        currencies = sorted({*sales, *profits}, key=lambda code: (code != shop.currency, code))
        seen["money"] = [
            {
                "currency": currency,
                "today": _today(currency, sales.get(currency, {}), earlier, now),
                "chart": _chart(currency, sales.get(currency, {}), profits.get(currency, {}), since),
                "profit": _profit(currency, profits[currency].values()) if currency in profits else None,
                "best": _best(currency, best.get(currency, []), names),
            }
            for currency in currencies or [shop.currency]
        ]
        seen["conversion"] = _conversion(reading.attempts_by_channel(ids, since=since))
    if may("orders.view_order"):
        seen["states"] = _states(reading.orders_by_state(ids, since=since))
    if may("inventory.view_stock"):
        seen["low_stock"] = _low_stock(ids, now)
    seen |= {
        "up_to": up_to and localtime(up_to),
        "is_stale": up_to is None or now - up_to > STALE,
        "days": DAYS,
    }
    return seen


def _earlier(shops: Sequence[int], now: datetime) -> dict[str, dict[str, Sales]]:
    """What had come by this time of yesterday, and of the same weekday a week ago."""
    midnight = localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    return {
        said: reading.paid_between(shops, midnight - ago, now - ago)
        for said, ago in {"yesterday": timedelta(days=1), "last week": timedelta(days=7)}.items()
    }


def _today(
    currency: str, sales: dict[date, Sales], earlier: dict[str, dict[str, Sales]], now: datetime
) -> list[dict[str, Any]]:
    today = sales.get(day_of(now), Sales())
    yesterday, last_week = (earlier[when].get(currency, Sales()) for when in ("yesterday", "last week"))
    weekday = date_format(localtime(now), "l")
    by_now = _("by now yesterday %(yesterday)s, last %(weekday)s %(last_week)s")
    link = reverse("admin:orders_order_changelist")
    return [
        {
            "label": _("Received today"),
            "value": display(today.revenue_minor, currency),
            "note": by_now
            % {
                "yesterday": display(yesterday.revenue_minor, currency),
                "last_week": display(last_week.revenue_minor, currency),
                "weekday": weekday,
            },
            "link": reverse("admin:payments_payment_changelist"),
        },
        {
            "label": _("Orders paid today"),
            "value": today.orders,
            "note": by_now
            % {"yesterday": yesterday.orders, "last_week": last_week.orders, "weekday": weekday},
            "link": link,
        },
    ]


def _chart(
    currency: str, sales: dict[date, Sales], profits: dict[date, Profit], since: date
) -> dict[str, Any]:
    days = [since + timedelta(days=count) for count in range(DAYS)]
    rows = [(day, sales.get(day, Sales()), profits.get(day)) for day in days]
    revenues = [sold.revenue_minor for _day, sold, _profit in rows]
    says = [f"{date_format(day, 'm-d')}: {display(sold.revenue_minor, currency)}" for day, sold, _ in rows]
    headers = [_("day"), _("orders paid"), _("received"), _("refunded")]
    return {
        "title": _("Received by day, %(currency)s") % {"currency": currency},
        "description": _("%(days)d days, the most on one day %(most)s, together %(sum)s.")
        % {
            "days": DAYS,
            "most": display(max(revenues), currency),
            "sum": display(sum(revenues), currency),
        },
        "bars": bars(revenues, says),
        "places": DAYS,
        "most": display(max(revenues), currency),
        "first": date_format(days[0], "m-d"),
        "last": date_format(days[-1], "m-d"),
        "headers": [*headers, _("profit")] if profits else headers,
        "rows": [
            [
                date_format(day, "Y-m-d"),
                sold.orders,
                display(sold.revenue_minor, currency),
                display(sold.refunded_minor, currency),
                *([display(profit.profit_minor, currency) if profit else UNKNOWN] if profits else []),
            ]
            for day, sold, profit in reversed(rows)
        ],
    }


def _profit(currency: str, of_days: Any) -> dict[str, Any]:
    profits = list(of_days)

    def total(name: str) -> int:
        return sum(getattr(profit, name) for profit in profits)

    unknown = total("unknown_units")
    return {
        "value": display(total("profit_minor"), currency) if total("units") else UNKNOWN,
        "note": _("%(revenue)s of delivered keys, less %(returned)s refunded and %(cost)s they have cost")
        % {
            "revenue": display(total("revenue_minor"), currency),
            "returned": display(total("returned_minor"), currency),
            "cost": display(total("cost_minor"), currency),
        },
        "unknown": ngettext(
            "Not in it: %(count)d key, sold for %(minor)s, whose cost is unknown. Enter it at the batch.",
            "Not in it: %(count)d keys, sold for %(minor)s, whose cost is unknown. Enter it at the batch.",
            unknown,
        )
        % {"count": unknown, "minor": display(total("unknown_minor"), currency)}
        if unknown
        else "",
    }


def _names(variants: Any) -> dict[int, str]:
    found = Variant.objects.filter(pk__in=set(variants)).select_related("product")
    return {
        variant.pk: f"{localized(variant.product, 'name')} · {localized(variant, 'name')}"
        for variant in found
    }


def _best(currency: str, rows: list[dict[str, Any]], names: dict[int, str]) -> dict[str, Any]:
    return _table(
        _("What sells best"),
        [_("variant"), _("sold"), _("received"), _("refunded")],
        [
            [
                names.get(row["variant"], UNKNOWN),
                row["units"],
                display(row["revenue_minor"], currency),
                display(row["refunded_minor"], currency),
            ]
            for row in rows
        ],
        empty=_("Nothing has been sold yet."),
    )


def _states(counted: dict[str, int]) -> dict[str, Any]:
    total = sum(counted.values())
    return _table(
        _("Orders by state"),
        [_("state"), _("orders"), _("share")],
        [
            [label, counted[status], _share(counted[status], total)]
            for status, label in OrderStatus.choices
            if counted.get(status)
        ],
        empty=_("Nobody has ordered yet."),
    )


def _conversion(channels: list[dict[str, Any]]) -> dict[str, Any]:
    """By method, and within it by channel."""
    return _table(
        _("Of those who begin to pay"),
        [_("method"), _("channel"), _("began"), _("paid"), _("share")],
        [
            [
                METHODS.get(row["method"], row["method"]),
                row["name"],
                row["attempts"],
                row["paid"],
                _share(row["paid"], row["attempts"]),
            ]
            for row in channels
        ],
        empty=_("Nobody has begun to pay yet."),
    )


def _waiting(request: HttpRequest, shop: Shop) -> list[dict[str, Any]]:
    """What needs a person; one query for each kind that this one may see, through a small index."""
    may, waiting = request.user.has_perm, []
    if may("orders.view_order"):
        count = Order.objects.filter(shop=shop).exclude(attention="").count()
        link = f"{reverse('admin:orders_order_changelist')}?{urlencode({'attention': 'yes'})}"
        waiting.append(_alarm(_("Orders that need you"), count, _("see why, then act"), link))
        waiting.append(_to_fill_in(shop))
    if may("payments.view_receipt"):
        count = Receipt.objects.filter(WAITS_FOR_PERSON, shop=shop).count()
        link = f"{reverse('admin:payments_receipt_changelist')}?{urlencode({'attention': 'yes'})}"
        waiting.append(_alarm(_("Money that needs you"), count, _("late, double, short or unknown"), link))
    if may("payments.view_refund"):
        refunds = Refund.objects.filter(shop=shop).aggregate(
            stuck=Count("pk", filter=WAITS_FOR_PERSON),
            awaited=Count("pk", filter=Q(status=RefundStatus.AWAITED)),
        )
        count = refunds["stuck"] + refunds["awaited"]
        note = _("to approve, refused, or unknown")
        waiting.append(_alarm(_("Refunds that need you"), count, note, reverse("admin:attention")))
    return waiting


def _to_fill_in(shop: Shop) -> dict[str, Any]:
    counted = OrderItem.objects.filter(WAITING, order__shop=shop).aggregate(
        waiting=Count("pk"), overdue=Count("pk", filter=Q(due_at__lt=Now()))
    )
    return {
        "label": _("To be filled in"),
        "value": counted["waiting"],
        "note": _("%(overdue)d overdue") % counted if counted["overdue"] else _("none is overdue"),
        "link": reverse("admin:orders_orderitem_changelist"),
        "state": "bad" if counted["overdue"] else "",
    }


def _alarm(label: str, count: int, note: str, link: str) -> dict[str, Any]:
    return {
        "label": label,
        "value": count,
        "note": note if count else _("nothing to do"),
        "link": link,
        "state": "bad" if count else "",
    }


def _low_stock(shops: Sequence[int], now: datetime) -> dict[str, Any]:
    """What has come down to its threshold, and what is sold out; and how long the rest will last."""
    low = (
        Stock.objects.filter(shop__in=shops, variant__is_active=True, variant__product__is_listed=True)
        .annotate(free=F("released") - F("claimed"))
        .filter(Q(free__lte=F("variant__low_stock_at")) | Q(free__lte=0))
        .select_related("variant__product")
        .order_by("free", "pk")[:LISTED]
    )
    stocks: list[Any] = list(low)
    since = day_of(now) - timedelta(days=PACE_DAYS - 1)
    sold = reading.units_sold(shops, [stock.variant_id for stock in stocks], since=since)
    return _table(
        _("Running low"),
        [_("variant"), _("free"), _("sold in a week"), _("will last")],
        [
            [
                str(stock.variant if stock.pool == Stock.PUBLIC else stock),
                stock.free,
                sold.get(stock.variant_id, 0),
                _lasts(stock.free, sold.get(stock.variant_id, 0)),
            ]
            for stock in stocks
        ],
        empty=_("Nothing on sale is running low."),
        states=["bad" if stock.free <= 0 else "look" for stock in stocks],
    )


def _lasts(free: int, sold: int) -> str:
    """At the pace of the last week."""
    if free <= 0:
        return _("sold out")
    if not sold:
        return UNKNOWN
    if not (days := free * PACE_DAYS // sold):
        return _("less than a day")
    return ngettext("%(count)d day", "%(count)d days", days) % {"count": days}


def _table(
    title: str,
    headers: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    empty: str,
    states: Sequence[str] = (),
) -> dict[str, Any]:
    """Each cell with its header, for phones have no room for a row of them."""
    return {
        "title": title,
        "headers": headers,
        "rows": [
            {"state": states[at] if states else "", "cells": list(zip(headers, cells, strict=True))}
            for at, cells in enumerate(rows)
        ],
        "empty": empty,
    }


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else UNKNOWN
