"""Reads of orders, for those who hold their link."""

from collections import defaultdict
from collections.abc import Iterable

import structlog
from django.db import connection

from cardshop.common.crypto import CannotOpen
from cardshop.common.errors import NotHere
from cardshop.common.rows import columns, instance, width
from cardshop.shops.models import Shop
from inventory.card_keys import reveal
from inventory.models import CardKey, Product
from orders.models import Order, OrderItem

logger = structlog.get_logger(__name__)

_BY_TOKEN = "SELECT * FROM orders_order WHERE shop_id = %s AND token = %s"  # noqa: S105  no password
_LINES = f"""
    SELECT {columns(OrderItem, "item")}, {columns(CardKey, "card_key")}
    FROM orders_orderitem AS item
    LEFT JOIN orders_deliveredkey AS delivered ON delivered.item_id = item.id AND replaced_by_id IS NULL
    LEFT JOIN inventory_cardkey AS card_key ON card_key.id = delivered.card_key_id
    WHERE item.order_id = %s ORDER BY item.id, delivered.slot"""  # noqa: S608  columns of ours


def order_by_token(shop: Shop, token: str) -> Order:
    """The order that the link opens, in this shop only. Raises NotHere.

    From here on the request's log lines name it.
    """
    order = next(iter(Order.objects.raw(_BY_TOKEN, [shop.pk, token])), None)
    if order is None:
        raise NotHere
    order.shop = shop
    structlog.contextvars.bind_contextvars(order=order.number)
    return order


class RevealedKeys(list[str]):
    """Keys in clear. `closed` counts those that do not open: of them nothing is shown."""

    closed = 0


def revealed_keys(order: Order) -> list[tuple[OrderItem, RevealedKeys]]:
    """The lines with their keys in clear, in slot order: for the buyer's eyes only.

    Empty lists before delivery.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LINES, [order.pk])
        rows = cursor.fetchall()
    lines: dict[int, tuple[OrderItem, RevealedKeys]] = {}
    for row in rows:
        item, key = row[: width(OrderItem)], row[width(OrderItem) :]
        line = instance(OrderItem, item)
        _, keys = lines.setdefault(line.pk, (line, RevealedKeys()))
        if key[0] is not None:
            _reveal_into(keys, instance(CardKey, key))
    return list(lines.values())


def _reveal_into(keys: RevealedKeys, card_key: CardKey) -> None:
    try:
        keys.append(reveal(card_key))
    except CannotOpen as error:
        keys.closed += 1
        logger.error("a delivered key does not open", row=card_key.pk, why=str(error))


def bought_products(order_ids: Iterable[int]) -> dict[int, list[Product]]:
    """What is in each of these orders, once each and as the merchant has it now. One query."""
    products: dict[int, dict[int, Product]] = defaultdict(dict)
    items = OrderItem.objects.filter(order__in=order_ids).select_related("variant__product").order_by("pk")
    for item in items:
        products[item.order_id].setdefault(item.variant.product_id, item.variant.product)
    return {order_id: list(found.values()) for order_id, found in products.items()}
