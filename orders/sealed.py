"""What of orders is sealed."""

from cardshop.common.sealed import SealedColumn
from orders.answers import context_of
from orders.models import OrderItem

SEALED = [
    SealedColumn(
        "buyers' answers",
        OrderItem,
        "answers",
        lambda item: context_of(item.order.ticket_id),
        related=("order",),
    ),
]
