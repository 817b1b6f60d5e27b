"""What became of what was asked for, as programs and members are told it."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet

from cardshop.common.errors import NotHere
from inventory.models import Variant
from orders.models import OrderItem
from orders.selectors import revealed_keys
from resellers.models import Reseller, ResellerOrder


def orders_of(reseller: Reseller) -> QuerySet[ResellerOrder]:
    mine = ResellerOrder.objects.filter(reseller=reseller)
    return mine.select_related("order", "reseller__balance")


def order_called(reseller: Reseller, number: str) -> ResellerOrder:
    """Raises NotHere."""
    if (one := orders_of(reseller).filter(number=number).first()) is None:
        raise NotHere
    return one


def told_all(asked: Sequence[ResellerOrder]) -> list[dict[str, object]]:
    """Without their keys."""
    lines: dict[int, list[dict[str, object]]] = defaultdict(list)
    items = OrderItem.objects.filter(order__in=[one.order_id for one in asked if one.order_id])
    for item in items.select_related("variant").order_by("pk"):
        lines[item.order_id].append(_line(item, item.variant.code))
    return [told(one, lines[one.order_id] if one.order_id else []) for one in asked]


def told_with_keys(one: ResellerOrder) -> dict[str, Any]:
    """With its keys in clear."""
    revealed = revealed_keys(one.order) if one.order else []
    variants = Variant.objects.filter(pk__in={item.variant_id for item, _ in revealed})
    codes = dict(variants.values_list("pk", "code"))
    return told(
        one,
        [
            {**_line(item, codes[item.variant_id]), "keys": list(keys), "unreadable": keys.closed}
            for item, keys in revealed
        ],
    )


def told(one: ResellerOrder, lines: Sequence[dict[str, object]]) -> dict[str, Any]:
    order = one.order
    return {
        "number": one.number,
        "status": order.status if order else one.status,
        "reference": one.reference,
        "currency": one.reseller.balance.currency,
        "total_minor": order.total_minor if order else None,
        "asked_at": one.asked_at,
        "delivered_at": order.delivered_at if order else None,
        "problem": one.problem or None,
        "lines": lines,
    }


def _line(item: OrderItem, code: str) -> dict[str, object]:
    return {
        "variant": code,
        "product_name": item.product_name,
        "variant_name": item.variant_name,
        "quantity": item.quantity,
        "unit_price_minor": item.unit_price_minor,
        "status": item.status,
    }
