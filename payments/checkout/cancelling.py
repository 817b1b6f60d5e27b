"""A buyer's wish to cancel."""

from datetime import datetime

from orders.models import Order
from orders.services.transitions import BUYER
from orders.states import OrderStatus
from payments.errors import NotCancellable
from payments.selectors import attempts_of
from payments.services.closing import begin_closing, finish_closing


def cancel_order(order: Order, *, now: datetime) -> None:
    """Begin to cancel; where no provider has to be asked it is done at once.

    Cancelling again what is already being cancelled is a no-op. Raises NotCancellable once money has
    come or the hold has ended.
    """
    begun = begin_closing(order, OrderStatus.CANCELLED, reason="cancelled by the buyer", actor=BUYER, now=now)
    if begun and not attempts_of(order).exists():
        finish_closing([order.pk], now)
    order.refresh_from_db()
    if order.status not in (OrderStatus.CLOSING, OrderStatus.CANCELLED):
        raise NotCancellable
