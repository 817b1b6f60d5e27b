"""Buys from a Cardshop by program: signed, retried, once for each key.

from cardshop_client import Cardshop

with Cardshop("https://shop.example", key="ck_…", secret="…") as shop:
    order = shop.order({"steam-50": 3}, idempotency_key="2026-000123")
    print(order.keys)
"""

from cardshop_client.client import Cardshop
from cardshop_client.errors import (
    CannotDecrypt,
    CardshopError,
    NotAnswered,
    NotEnoughBalance,
    OutOfStock,
    Refused,
    TooOften,
)
from cardshop_client.models import (
    Account,
    Available,
    Claim,
    Entry,
    Event,
    Line,
    Order,
    Product,
    Quote,
    TopUp,
    Variant,
    Webhook,
)
from cardshop_client.webhooks import BadSignature, Delivery, read_delivery

__all__ = [
    "Account",
    "Available",
    "BadSignature",
    "CannotDecrypt",
    "Cardshop",
    "CardshopError",
    "Claim",
    "Delivery",
    "Entry",
    "Event",
    "Line",
    "NotAnswered",
    "NotEnoughBalance",
    "Order",
    "OutOfStock",
    "Product",
    "Quote",
    "Refused",
    "TooOften",
    "TopUp",
    "Variant",
    "Webhook",
    "read_delivery",
]
