"""Notes what has been paid for and comes from a supplier, in the transaction in which it is paid."""

import time
from collections.abc import Sequence
from datetime import datetime

from django.conf import settings
from django.db import transaction

from cardshop.outbox.services import wake
from inventory.models import Fulfilment
from orders.models import Order, OrderItem
from orders.states import OrderStatus
from suppliers.models import SuppliedVariant, SupplierOrder

FORWARD = "suppliers.forward"

_known: tuple[float, frozenset[int]] | None = None


def note_what_was_paid(*, orders: Sequence[Order], after: str, now: datetime, **_said: object) -> None:
    """A row for each line that a supplier has to see to. It is its own promise, with the moment at which it
    is due. Asked with every order that moves: where nobody supplies anything it costs no query.
    """
    if after != OrderStatus.PAID:
        return
    shops = shops_with_suppliers()
    supplied = [order.pk for order in orders if order.shop_id in shops]
    if not supplied:
        return
    lines = OrderItem.objects.filter(
        order__in=supplied,
        variant__supplied__supplier__is_enabled=True,
        variant__fulfilment=Fulfilment.MANUAL,
        answers=None,  # or a person has to read what the buyer has entered
    )
    made = SupplierOrder.objects.bulk_create(
        _made_of(line, now) for line in lines.select_related("order", "variant__supplied").order_by("pk")
    )
    if made:
        # A lambda: on Django 5.2 `robust` itself crashes when a functools.partial fails (ticket 36487).
        transaction.on_commit(lambda: wake(FORWARD), robust=True)


def _made_of(line: OrderItem, now: datetime) -> SupplierOrder:
    source: SuppliedVariant = line.variant.supplied
    most = source.most_minor
    return SupplierOrder(
        item=line,
        supplier_id=source.supplier_id,
        reference=f"{line.order.number}-{line.pk}",
        their_code=source.their_code,
        quantity=line.quantity,
        most_minor=None if most is None else most * line.quantity,
        made_at=now,
        next_at=now,
    )


def shops_with_suppliers() -> frozenset[int]:
    """At most SHOP_FRESH_SECONDS old."""
    global _known
    now = time.monotonic()
    if _known is None or now >= _known[0]:
        enabled = SuppliedVariant.objects.filter(supplier__is_enabled=True)
        shops = frozenset(enabled.values_list("supplier__shop", flat=True).distinct())
        _known = (now + settings.SHOP_FRESH_SECONDS, shops)
    return _known[1]
