"""Keys were withdrawn that orders had claimed: whoever has not paid makes way for whoever has."""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Sum

from inventory.models import Stock
from orders.models import Reservation
from orders.services.transitions import SYSTEM
from orders.states import HoldStatus, OrderStatus
from payments.services.closing import begin_closing

KEYS_WITHDRAWN = "the keys that were held for it have been withdrawn"


def cover_shortage(stock_ids: Sequence[int], now: datetime) -> None:
    """Begin to close unpaid orders, the newest first, until what is short is covered or none is left.

    Their holds make up for it as they end. Whoever has paid in the meantime is not closed; a paid order that
    finds no key is put before a person when it is delivered.
    """
    for stock in Stock.objects.filter(pk__in=stock_ids, short__gt=0):
        held = Reservation.objects.filter(stock=stock, status=HoldStatus.HELD).select_related("item__order")
        ending = held.filter(item__order__status=OrderStatus.CLOSING).aggregate(sum=Sum("quantity"))["sum"]
        missing = stock.short - (ending or 0)
        for hold in held.filter(item__order__status=OrderStatus.PENDING).order_by("-item__order_id"):
            if missing <= 0:
                break
            order = hold.item.order
            if begin_closing(order, OrderStatus.CANCELLED, reason=KEYS_WITHDRAWN, actor=SYSTEM, now=now):
                missing -= hold.quantity
