"""Reads of orders, for those who hold their link."""

import structlog

from cardshop.common.errors import NotHere
from cardshop.shops.models import Shop
from inventory.card_keys import reveal
from orders.models import DeliveredKey, Order, OrderItem


def order_by_token(shop: Shop, token: str) -> Order:
    """The order that the link opens, in this shop only. Raises NotHere.

    From here on the request's log lines name it.
    """
    order = Order.objects.filter(shop=shop, token=token).first()
    if order is None:
        raise NotHere
    order.shop = shop
    structlog.contextvars.bind_contextvars(order=order.number)
    return order


def revealed_keys(order: Order) -> list[tuple[OrderItem, list[str]]]:
    """The lines with their keys in clear, in slot order: for the buyer's eyes only.

    Empty lists before delivery. Raises CannotOpen when the encryption key is wrong or missing.
    """
    lines = {item.pk: (item, list[str]()) for item in order.items.order_by("pk")}
    current = DeliveredKey.objects.filter(item__order=order, replaced_by=None)
    for delivered in current.select_related("card_key").order_by("item", "slot"):
        lines[delivered.item_id][1].append(reveal(delivered.card_key))
    return list(lines.values())
