"""Lines that a person fills in: what is still missing, filling it in, replacing it, and being late."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from cardshop.common.locks import lock_rows
from cardshop.outbox.services import promise
from inventory.models import CardKey, CardKeyStatus, KeyBatch
from inventory.texts import checked_text, enter_texts
from orders.errors import FilledInMeanwhile, NothingFilledIn, NotToBeReplaced
from orders.models import DeliveredKey, Order, OrderItem
from orders.services.transitions import ask_for_attention, note, transition
from orders.states import PAID_FOR, ItemStatus, OrderStatus

FILLED_IN = "filled in by hand"
PARTLY_FILLED_IN = "partly filled in by hand"
REPLACED = "what was filled in was replaced"
OVERDUE = "not filled in by the time that was promised: fill it in, or refund it"


# A line that a person has still to fill in, wholly or in part.
WAITING = Q(status=ItemStatus.OPEN, due_at__isnull=False)


def waiting_lines() -> QuerySet[OrderItem]:
    """Lines that a person has still to fill in; the most urgent first."""
    return OrderItem.objects.filter(WAITING).order_by("due_at", "pk")


def missing_slots(order: Order) -> dict[int, list[int]]:
    """The slots that are not filled in, by line, of the lines that wait for it."""
    lines = list(waiting_lines().filter(order=order))
    current = DeliveredKey.objects.filter(item__in=lines, replaced_by=None)
    filled = set(current.values_list("item", "slot"))
    return {
        line.pk: [slot for slot in range(line.quantity) if (line.pk, slot) not in filled] for line in lines
    }


@transaction.atomic(durable=True)
def fill_in(order: Order, given: Mapping[tuple[int, int], str], *, actor: str, now: datetime) -> bool:
    """Hand over what a person has typed, by line and slot; True if now nothing of the order is missing.

    The buyer sees it at once and is mailed. All or nothing: of two people who fill in the same slot one
    gets FilledInMeanwhile, and so does who comes after a refund has begun. Raises Invalid, NothingFilledIn.
    """
    texts = {place: checked_text(text) for place, text in given.items()}
    if not texts:
        raise NothingFilledIn
    ((locked,),) = lock_rows(Order.objects.filter(pk=order.pk))
    missing = {(line, slot) for line, slots in missing_slots(locked).items() for slot in slots}
    if locked.status != OrderStatus.PAID or not texts.keys() <= missing:
        raise FilledInMeanwhile
    _hand_over(locked, texts, actor=actor, now=now)
    lines = {line for line, _slot in texts}
    still_missing = {line for line, _slot in missing - texts.keys()}
    OrderItem.objects.filter(pk__in=lines - still_missing).update(status=ItemStatus.DELIVERED)
    is_whole = not _unsettled(locked).exists()
    if is_whole:
        changes = {"delivered_at": now, "attention": ""}
        transition(locked, OrderStatus.DELIVERED, reason=FILLED_IN, actor=actor, now=now, **changes)
    else:
        Order.objects.filter(pk=locked.pk).update(delivered_at=now)
        note(locked, reason=PARTLY_FILLED_IN, actor=actor, now=now)
    promise("orders.mail_delivery", [locked.pk], shop_id=locked.shop_id, now=now)
    return is_whole


def _unsettled(order: Order) -> QuerySet[OrderItem]:
    return OrderItem.objects.filter(order=order, status__in=[ItemStatus.OPEN, ItemStatus.REFUNDING])


def _hand_over(order: Order, texts: Mapping[tuple[int, int], str], *, actor: str, now: datetime) -> None:
    slots: dict[int, list[int]] = defaultdict(list)
    for line, slot in sorted(texts):
        slots[line].append(slot)
    for item in OrderItem.objects.filter(pk__in=slots).select_related("variant").order_by("pk"):
        keys = _typed(item, [texts[item.pk, slot] for slot in slots[item.pk]], order, actor=actor, now=now)
        DeliveredKey.objects.bulk_create(
            DeliveredKey(item=item, slot=slot, card_key=key, delivered_at=now)
            for slot, key in zip(slots[item.pk], keys, strict=True)
        )


def _typed(item: OrderItem, texts: list[str], order: Order, *, actor: str, now: datetime) -> list[CardKey]:
    origin = KeyBatch.Origin.TYPED
    return enter_texts(item.variant, texts, origin=origin, entered_by=actor, note=order.number, now=now)


def replaceable(order: Order) -> QuerySet[DeliveredKey]:
    """What was filled in and may be replaced: whatever a person typed that is the buyer's now."""
    return DeliveredKey.objects.filter(
        item__order=order,
        item__status__in=[ItemStatus.OPEN, ItemStatus.DELIVERED],
        replaced_by=None,
        card_key__batch__origin=KeyBatch.Origin.TYPED,
    )


@transaction.atomic(durable=True)
def replace(delivered: DeliveredKey, text: str, *, actor: str, now: datetime) -> None:
    """Give the buyer another text in the place of `delivered`, and mail again.

    What it was stays in the history, void. Raises Invalid, and NotToBeReplaced when somebody has replaced
    it, or its money is going back.
    """
    text = checked_text(text)
    ((order,),) = lock_rows(Order.objects.filter(items=delivered.item_id))
    old = replaceable(order).filter(pk=delivered.pk).select_related("item__variant").first()
    if old is None or order.status not in PAID_FOR:
        raise NotToBeReplaced
    (key,) = _typed(old.item, [text], order, actor=actor, now=now)
    new = DeliveredKey(pk=_next_id(), item=old.item, slot=old.slot, card_key=key, delivered_at=now)
    # First the old one goes: a slot has one current row at every moment.
    DeliveredKey.objects.filter(pk=old.pk).update(replaced_by_id=new.pk)
    new.save(force_insert=True)
    CardKey.objects.filter(pk=old.card_key_id).update(status=CardKeyStatus.VOID)
    Order.objects.filter(pk=order.pk).update(delivered_at=now)
    note(order, reason=REPLACED, actor=actor, now=now)
    promise("orders.mail_delivery", [order.pk], shop_id=order.shop_id, now=now)


def _next_id() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(pg_get_serial_sequence('orders_deliveredkey', 'id'))")
        return int(cursor.fetchone()[0])


def put_overdue_before_person(now: datetime, *, limit: int = 500) -> int:
    """Ask for attention for orders whose promised time has passed; returns how many."""
    late = waiting_lines().filter(due_at__lt=now, order__attention="", order__status=OrderStatus.PAID)
    ids = set(late.values_list("order", flat=True)[:limit])
    flagged = 0
    for order_id in sorted(ids):
        flagged += _put_before_person(order_id, now)
    return flagged


@transaction.atomic(durable=True)
def _put_before_person(order_id: int, now: datetime) -> bool:
    """Unless somebody has filled it in meanwhile."""
    (orders,) = lock_rows(Order.objects.filter(pk=order_id, status=OrderStatus.PAID, attention=""))
    for order in orders:
        if waiting_lines().filter(order=order, due_at__lt=now).exists():
            ask_for_attention(order, OVERDUE, now=now)
            return True
    return False
