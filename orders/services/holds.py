"""What becomes of a hold: sold, released, or claimed anew for late money. Callers lock the Order."""

from django.db.models import QuerySet

from inventory import stock
from orders.models import Order, OrderItem, Reservation
from orders.states import HoldStatus


def sell_holds(order: Order) -> None:
    """The hold has become a sale. The counter stays as it is: `claimed` counts both."""
    _held(order).update(status=HoldStatus.SOLD)


def release_holds(order: Order) -> None:
    """Give the held units back, once: only a reservation still `held` is released."""
    for reservation in _held(order).select_for_update(no_key=True).order_by("stock_id"):
        stock.release(stock_id=reservation.stock_id, quantity=reservation.quantity)
        Reservation.objects.filter(pk=reservation.pk).update(status=HoldStatus.RELEASED)


def claim_again(order: Order) -> None:
    """Claim fresh stock for an order whose hold was given back, and sell it at once.

    Raises OutOfStock: the caller's savepoint takes back what was claimed so far.
    """
    for item in OrderItem.objects.filter(order=order).order_by("variant_id"):
        stock_id = stock.claim(variant_id=item.variant_id, quantity=item.quantity)
        Reservation.objects.create(
            item=item, stock_id=stock_id, quantity=item.quantity, status=HoldStatus.SOLD
        )


def _held(order: Order) -> QuerySet[Reservation]:
    return Reservation.objects.filter(item__order=order, status=HoldStatus.HELD)
