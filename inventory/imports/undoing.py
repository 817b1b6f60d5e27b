"""Taking a batch back, as far as its keys are neither sold nor promised to anybody."""

import time
from datetime import datetime

from django.db import connection, transaction
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from cardshop.common.errors import DomainError
from cardshop.common.locks import lock_rows
from cardshop.outbox.services import promise
from cardshop.traffic.display_cache import forget_on_commit
from inventory.models import BatchState, CardKeyStatus, KeyBatch, KeyUpload, Stock
from inventory.stock.supply import count_out

TASK = "inventory.undo_imports"
CHUNK = 2000  # keys of a transaction, during which every sale of the variant waits
RUN = 8.0  # seconds; then it is the next one's turn
_UNFINISHED = (BatchState.QUEUED, BatchState.RUNNING)

# Keys in another's open transaction are being sold. What somebody of the staff saw is remembered.
DELETE = """
    WITH free AS MATERIALIZED (
        SELECT id FROM inventory_cardkey
        WHERE batch_id = %(batch)s AND status = 'available' AND id > %(after)s
          AND NOT EXISTS (SELECT FROM inventory_keyaccess WHERE card_key_id = inventory_cardkey.id)
          AND NOT EXISTS (SELECT FROM inventory_keyrequest WHERE card_key_id = inventory_cardkey.id)
        ORDER BY id LIMIT %(most)s FOR UPDATE SKIP LOCKED
    )
    DELETE FROM inventory_cardkey AS card_key USING free WHERE card_key.id = free.id
    RETURNING card_key.id"""


class NothingToUndo(DomainError):
    code = "nothing_to_undo"
    message = _(
        "Nothing of this import can be taken back: its keys are sold, void, or promised to orders that are"
        " still open."
    )


def begin_undo(batch: KeyBatch, *, now: datetime) -> bool:
    """Stop the import if it still goes on, and let its free keys be taken out of stock in the background.

    False if that is under way already. Raises NothingToUndo.
    """
    if not can_undo(batch) or (batch.state not in _UNFINISHED and not _is_anything_free(batch)):
        raise NothingToUndo
    with transaction.atomic():
        others = KeyBatch.objects.filter(pk=batch.pk, origin=KeyBatch.Origin.IMPORTED)
        if won := others.exclude(state=BatchState.UNDOING).update(state=BatchState.UNDOING) == 1:
            KeyUpload.objects.filter(batch=batch).delete()
            promise(TASK, [batch.pk], shop_id=batch.shop_id, now=now)
    return won


def can_undo(batch: KeyBatch) -> bool:
    """Whether there is anything to try: what a person typed, or all buyers share, is no import."""
    still_there = batch.state in _UNFINISHED or batch.imported > batch.undone
    return batch.origin == KeyBatch.Origin.IMPORTED and still_there


def undo_batches(batch_ids: list[int], now: datetime) -> None:
    """What the outbox promises: take back for a while, and promise the rest anew."""
    for batch_id in batch_ids:
        if not _undo_for_a_while(batch_id):
            shop_id = KeyBatch.objects.values_list("shop_id", flat=True).get(pk=batch_id)
            promise(TASK, [batch_id], shop_id=shop_id, now=now)


def _is_anything_free(batch: KeyBatch) -> bool:
    """For a polite answer only; what is free is decided under the Stock's lock."""
    stocks = Stock.objects.filter(variant=batch.variant_id, pool=Stock.PUBLIC)
    has_room = any(_unclaimed(stock) > 0 for stock in stocks)
    return has_room and batch.card_keys.filter(status=CardKeyStatus.AVAILABLE).exists()


def _undo_for_a_while(batch_id: int) -> bool:
    began, after = time.monotonic(), 0
    while taken := _take_back(batch_id, after):
        after = max(taken)
        if time.monotonic() - began > RUN:
            return False
    return True


@transaction.atomic(durable=True)
def _take_back(batch_id: int, after: int) -> list[int]:
    """Delete the next keys that nobody has a claim on, and count them out; empty once there are none.

    Claims are counted, not tied to single keys, so of what is free in the batch as many go as there are
    units that are not claimed. That is decided, and kept, under the Stock's lock.
    """
    batches, stocks = lock_rows(
        KeyBatch.objects.filter(pk=batch_id, state=BatchState.UNDOING),
        Stock.objects.filter(variant__batches=batch_id, pool=Stock.PUBLIC),
    )
    if not batches:
        return []
    (batch,) = batches
    taken = _delete_keys(batch, after, most=sum(min(CHUNK, _unclaimed(stock)) for stock in stocks))
    counted = KeyBatch.objects.filter(pk=batch.pk)
    if not taken:
        counted.update(state=BatchState.UNDONE)
        return []
    counted.update(undone=F("undone") + len(taken))
    count_out(Stock.objects.filter(pk__in=[stock.pk for stock in stocks]), len(taken))
    forget_on_commit(batch.shop_id)
    return taken


def _unclaimed(stock: Stock) -> int:
    """Of unlimited goods no key is missed."""
    return CHUNK if stock.total is None else stock.total - stock.claimed


def _delete_keys(batch: KeyBatch, after: int, *, most: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(DELETE, {"batch": batch.pk, "after": after, "most": most})
        return [pk for (pk,) in cursor.fetchall()]
