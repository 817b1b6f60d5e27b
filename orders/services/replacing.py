"""New keys for a buyer in the place of bad ones. The slot keeps both: which was there, and which is now."""

from collections.abc import Collection, Sequence
from datetime import datetime

from django.core.mail import EmailMessage
from django.db import connection, transaction
from django.utils.translation import gettext_lazy as _

from cardshop.common.errors import DomainError
from cardshop.common.locks import lock_rows
from cardshop.outbox.services import Failures, promise
from inventory.card_keys import opens
from inventory.errors import OutOfStock, ShortPick
from inventory.models import CardKey, CardKeyStatus, KeyBatch, Stock, VoidBecause
from inventory.picking import pick_with_care
from inventory.stock.supply import count_replaced
from orders.models import DeliveredKey, Order, OrderItem
from orders.services.mail import SENDING, message_to, send_all
from orders.services.transitions import note
from orders.states import ItemStatus

REPLACED = "keys replaced"
DOES_NOT_OPEN = "it did not open"
WHY_MAX = 180  # with REPLACED before it, it has to fit into OrderEvent.reason


class NotReplaceable(DomainError):
    code = "not_replaceable"
    http_status = 409
    message = _("The keys of this line cannot be replaced: it is being refunded, or has been.")


class NoKeysLeft(DomainError):
    code = "no_keys_left"
    http_status = 409
    message = _("There are not enough free keys to replace them with: import some first.")


def replace_closed_keys(order: Order, *, actor: str, now: datetime) -> int:
    """Hand over new keys for those of the order that do not open; returns how many. Raises as below."""
    replaced = 0
    for item in OrderItem.objects.filter(order=order).order_by("pk"):
        # What a person filled in, or all buyers get, is put right where it was entered.
        slots = DeliveredKey.objects.filter(
            item=item, replaced_by=None, card_key__batch__origin=KeyBatch.Origin.IMPORTED
        ).select_related("card_key")
        closed = [slot.card_key_id for slot in slots if not opens(slot.card_key)]
        replaced += replace_keys(item, bad=closed, reason=DOES_NOT_OPEN, actor=actor, now=now)
    return replaced


@transaction.atomic(durable=True)
def replace_keys(item: OrderItem, *, bad: Collection[int], reason: str, actor: str, now: datetime) -> int:
    """Hand over new keys for those of the card keys `bad` that are in the line's slots; returns how many.

    All of them or none. New ones are taken before the old become void, and never from what others have
    claimed. Repeating it is a no-op, since the old ones are in no slot any more. Raises NoKeysLeft, and
    NotReplaceable for a line whose money is going back.
    """
    (order,), stocks = lock_rows(
        Order.objects.filter(pk=item.order_id), Stock.objects.filter(variant=item.variant_id)
    )
    fresh = OrderItem.objects.get(pk=item.pk)
    old = list(DeliveredKey.objects.filter(item=fresh, replaced_by=None, card_key__in=bad).order_by("slot"))
    if not old:
        return 0
    if fresh.status != ItemStatus.DELIVERED:
        raise NotReplaceable
    (stock,) = (stock for stock in stocks if stock.pool == Stock.PUBLIC)
    try:
        count_replaced(Stock.objects.filter(pk=stock.pk), len(old))
        stock.refresh_from_db()
        picked, _damaged = pick_with_care(stock=stock, quantity=len(old), now=now)
    except (OutOfStock, ShortPick) as short:
        raise NoKeysLeft from short
    _put_into_slots(old, picked, now)
    CardKey.objects.filter(pk__in=[slot.card_key_id for slot in old]).update(
        status=CardKeyStatus.VOID, void_because=VoidBecause.REPLACED
    )
    Order.objects.filter(pk=order.pk).update(delivered_at=now)
    note(order, reason=f"{REPLACED}: {reason}"[:200], actor=actor, now=now)
    promise("orders.mail_replacement", [order.pk], shop_id=order.shop_id, now=now)
    return len(old)


def _put_into_slots(old: Sequence[DeliveredKey], card_keys: Sequence[int], now: datetime) -> None:
    """A slot has one current key, so the old one points to the new before that is there."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)",
            [DeliveredKey._meta.db_table, len(old)],
        )
        ids = [row[0] for row in cursor.fetchall()]
    for slot, new_id in zip(old, ids, strict=True):
        DeliveredKey.objects.filter(pk=slot.pk).update(replaced_by=new_id)
    DeliveredKey.objects.bulk_create(
        DeliveredKey(pk=new_id, item_id=slot.item_id, slot=slot.slot, card_key_id=card_key, delivered_at=now)
        for slot, new_id, card_key in zip(old, ids, card_keys, strict=True)
    )


def mail_replacements(order_ids: Sequence[int], now: datetime) -> Failures:
    """Tell each buyer; returns the orders whose mail failed. May be sent twice, never not."""
    return send_all(Order.objects.filter(pk__in=order_ids), _message, within=SENDING)


def _message(order: Order) -> EmailMessage:
    return message_to(
        order,
        subject=_("New keys from %(shop)s for your order %(number)s"),
        template="mail/replaced.txt",
        context={},
    )
