"""Lines whose money goes back. Compare-and-set before the provider is asked, so that a refund and a delivery
cannot both win. The caller holds the order's lock.
"""

from datetime import datetime

from cardshop.outbox.services import promise
from inventory import stock
from orders.models import DeliveredKey, Order, OrderItem, Reservation
from orders.services.transitions import note, transition
from orders.states import HoldStatus, ItemStatus, OrderStatus

GIVEN_BACK = "refunded"


def begin_giving_back(item: OrderItem) -> bool:
    """`open | delivered → refunding`; False when it is being given back already. From here on it is not
    delivered.
    """
    begun = OrderItem.objects.filter(pk=item.pk, status__in=[ItemStatus.OPEN, ItemStatus.DELIVERED])
    return begun.update(status=ItemStatus.REFUNDING) == 1


def keep_after_all(order: Order, item: OrderItem, *, reason: str, actor: str, now: datetime) -> None:
    """The money stays with us: the line is what it was, and is delivered if it was still to be."""
    refunding = OrderItem.objects.filter(pk=item.pk, status=ItemStatus.REFUNDING)
    was_delivered = _handed_over(item) == item.quantity
    refunding.update(status=ItemStatus.DELIVERED if was_delivered else ItemStatus.OPEN)
    note(order, reason=reason, actor=actor, now=now)
    _deliver_the_rest(order, now)


def finish_giving_back(order: Order, item: OrderItem, *, actor: str, now: datetime) -> None:
    """The money is back with the buyer. What was not delivered is for others to buy; a key that was stays
    theirs, and with it all of its line. An order of which nothing is left is refunded.
    """
    refunding = OrderItem.objects.filter(pk=item.pk, status=ItemStatus.REFUNDING)
    if not refunding.update(status=ItemStatus.REFUNDED):
        return
    if OrderItem.objects.filter(order=order).exclude(status=ItemStatus.REFUNDED).exists():
        note(order, reason=GIVEN_BACK, actor=actor, now=now)
        _deliver_the_rest(order, now)
    else:
        transition(order, OrderStatus.REFUNDED, reason=GIVEN_BACK, actor=actor, now=now, attention="")
    if not _handed_over(item):
        _release(item)  # last: every buyer of the variant waits for its Stock row


def _handed_over(item: OrderItem) -> int:
    return DeliveredKey.objects.filter(item=item, replaced_by=None).count()


def _deliver_the_rest(order: Order, now: datetime) -> None:
    """A paid order is not delivered while one of its lines is being refunded; it may be now."""
    if order.status != OrderStatus.PAID:
        return
    isolated = OrderItem.objects.filter(order=order, variant__is_isolated=True).exists()
    task = "orders.deliver_isolated" if isolated else "orders.deliver"
    promise(task, [order.pk], shop_id=order.shop_id, now=now)


def _release(item: OrderItem) -> None:
    for sold in Reservation.objects.filter(item=item, status=HoldStatus.SOLD):
        if Reservation.objects.filter(pk=sold.pk, status=HoldStatus.SOLD).update(status=HoldStatus.RELEASED):
            stock.release(stock_id=sold.stock_id, quantity=sold.quantity)
