"""What becomes of holds: sold, released, or claimed anew for late money. Callers lock the Orders."""

from collections import Counter
from collections.abc import Sequence

from django.db.models import QuerySet

from inventory import stock
from orders.models import Order, OrderItem, Reservation
from orders.services.limits import require_within_limit
from orders.states import HoldStatus


def sell_holds(orders: Sequence[Order]) -> None:
    """The holds have become sales. The counter stays as it is: `claimed` counts both."""
    _held(orders).update(status=HoldStatus.SOLD)


def release_holds(orders: Sequence[Order]) -> None:
    """Give the held units back, once: only a reservation still `held` is released.

    Each Stock row is written once, and in the order of LOCK_ORDER.
    """
    held = list(_held(orders).select_for_update(no_key=True, of=("self",)).order_by("pk"))
    units: Counter[int] = Counter()
    for reservation in held:
        units[reservation.stock_id] += reservation.quantity
    Reservation.objects.filter(pk__in=[reservation.pk for reservation in held]).update(
        status=HoldStatus.RELEASED
    )
    for stock_id, quantity in sorted(units.items()):
        stock.release(stock_id=stock_id, quantity=quantity)


def claim_again(order: Order) -> None:
    """Claim fresh stock for an order whose hold was given back, and sell it at once.

    Raises OutOfStock or LimitReached: the caller's savepoint takes back what was claimed so far.
    """
    for item in OrderItem.objects.filter(order=order).select_related("variant").order_by("variant_id"):
        stock_id = stock.claim(variant_id=item.variant_id, quantity=item.quantity)
        require_within_limit(item.variant, buyer_key=order.buyer_key, quantity=item.quantity)
        Reservation.objects.create(
            item=item, stock_id=stock_id, quantity=item.quantity, status=HoldStatus.SOLD
        )


def _held(orders: Sequence[Order]) -> QuerySet[Reservation]:
    return Reservation.objects.filter(item__order__in=orders, status=HoldStatus.HELD)
