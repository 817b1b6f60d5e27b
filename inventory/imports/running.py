"""An upload becomes a batch of keys, in the background and a chunk at a time.

Of each chunk the keys, the counters and the place up to which is read are committed together, under the
batch's lock. So whoever goes on after a crash begins where the last commit ended, and of two workers one
finds that the place is not where it left it, and stops.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime

from django.db import transaction
from django.db.models import F

from cardshop.common.clock import db_now
from cardshop.common.crypto import CannotOpen
from cardshop.common.locks import lock_rows
from cardshop.outbox.services import promise
from inventory.card_keys import locked_blind_index
from inventory.errors import NotByKeys
from inventory.imports.reading import NoSuchColumn, Read, Table, read_lines, read_rows
from inventory.imports.spool import read_upload
from inventory.imports.storing import DUPLICATE, Line, Stored, store_keys
from inventory.models import (
    BatchState,
    ImportFailure,
    KeyBatch,
    KeyUpload,
    Layout,
    LeftOutLine,
    Variant,
)
from inventory.releases import add_to_stock

TASK = "inventory.import_keys"
IN_PROGRESS = (BatchState.QUEUED, BatchState.RUNNING)
# Of a chunk: whoever imports into the same shop waits for one, and a crash loses one at most.
CHUNK_LINES = 5000
CHUNK_BYTES = 1024 * 1024
RUN = 8.0  # seconds; then it is the next import's turn
MOST_NAMED = 100_000  # lines left out, of a batch


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a merchant says about an upload."""

    variant: Variant
    imported_by: str
    layout: str = Layout.LINES
    heading: str = ""
    note: str = ""
    unit_cost_minor: int | None = None
    cost_currency: str = ""
    expires_on: date | None = None


@dataclass
class Chunk:
    """Lines of an upload from `begins` to `ends`, in bytes; after it `lines` lines of it are read."""

    begins: int
    ends: int
    lines: int
    texts: list[Line] = field(default_factory=list)
    is_last: bool = False


def accept(upload: KeyUpload, terms: Terms, *, now: datetime) -> KeyBatch:
    """Make the upload a batch that waits for its import.

    Raises NoSuchColumn and CannotOpen, and leaves the upload as it is.
    """
    upload.layout, upload.heading = terms.layout, terms.heading
    _table(upload)
    with transaction.atomic(durable=True):
        batch = KeyBatch.objects.create(
            shop_id=terms.variant.shop_id,
            variant=terms.variant,
            note=terms.note,
            unit_cost_minor=terms.unit_cost_minor,
            cost_currency=terms.cost_currency,
            expires_on=terms.expires_on,
            imported_by=terms.imported_by,
            imported_at=now,
            state=BatchState.QUEUED,
        )
        upload.batch, upload.shop_id = batch, terms.variant.shop_id
        upload.save(update_fields=["batch", "shop", "layout", "heading"], force_update=True)
        promise(TASK, [batch.pk], shop_id=batch.shop_id, now=now)
    return batch


def import_batches(batch_ids: list[int], now: datetime) -> None:
    """What the outbox promises: read on for a while, and promise the rest anew.

    So a long import makes no promise look old that is being kept.
    """
    for batch_id in batch_ids:
        if not import_for_a_while(batch_id):
            shop_id = KeyBatch.objects.values_list("shop_id", flat=True).get(pk=batch_id)
            promise(TASK, [batch_id], shop_id=shop_id, now=now)


def import_for_a_while(batch_id: int) -> bool:
    """Import the next chunks of the batch; False if there is more to be read.

    True also where nothing is to be done here: it has ended, or somebody else has gone on with it.
    """
    upload = KeyUpload.objects.select_related("batch__variant", "batch__shop").filter(batch=batch_id).first()
    if upload is None or upload.batch is None:
        return True
    began = time.monotonic()
    try:
        for chunk in _chunks(upload, upload.batch.lines):
            if not _import_chunk(upload, upload.batch, chunk) or chunk.is_last:
                return True
            if time.monotonic() - began > RUN:
                return False
    except CannotOpen:
        break_off(upload.batch, ImportFailure.CANNOT_OPEN)
    except NoSuchColumn:
        break_off(upload.batch, ImportFailure.NO_COLUMN)
    except NotByKeys:
        break_off(upload.batch, ImportFailure.NOT_BY_KEYS)
    return True


@transaction.atomic(durable=True)
def break_off(batch: KeyBatch, why: ImportFailure) -> None:
    """No more of the batch is imported. What is stored stays. The upload is of no more use, and must not lie
    about. Nothing happens where the import has ended.
    """
    (batches,) = lock_rows(KeyBatch.objects.filter(pk=batch.pk, state__in=IN_PROGRESS))
    if batches:
        _end(batch, BatchState.FAILED, why)


def _chunks(upload: KeyUpload, lines_before: int) -> Iterator[Chunk]:
    chunk = Chunk(upload.position, upload.position, lines_before)
    for read in _reads(upload, lines_before):
        if len(chunk.texts) == CHUNK_LINES or chunk.ends - chunk.begins >= CHUNK_BYTES:
            yield chunk
            chunk = Chunk(chunk.ends, chunk.ends, chunk.lines)
        chunk.texts.append((read.number, read.text))
        chunk.ends, chunk.lines = read.end, read.lines
    chunk.is_last = True
    yield chunk


def _reads(upload: KeyUpload, lines_before: int) -> Iterator[Read]:
    table = _table(upload)
    position = upload.position
    if table and not position:
        position, lines_before = table.begins, table.lines
    lines = read_lines(
        read_upload(upload, position),
        encoding=upload.encoding,
        position=position,
        lines_before=lines_before,
    )
    return read_rows(lines, table) if table else lines


def _table(upload: KeyUpload) -> Table | None:
    """None if the upload is no CSV. Raises NoSuchColumn."""
    if upload.layout == Layout.LINES:
        return None
    from_the_beginning = read_lines(read_upload(upload), encoding=upload.encoding)
    return Table.of(from_the_beginning, layout=upload.layout, heading=upload.heading)


@transaction.atomic(durable=True)
def _import_chunk(upload: KeyUpload, batch: KeyBatch, chunk: Chunk) -> bool:
    """Store the chunk if it is what comes next; False if the import has ended or somebody else goes on."""
    (batches,) = lock_rows(KeyBatch.objects.filter(pk=batch.pk, state__in=IN_PROGRESS))
    if not batches or not _comes_next(upload, chunk):
        return False
    stored = store_keys(batch, locked_blind_index(batch.shop), chunk.texts)
    _name_lines(batches[0], stored)
    duplicates = sum(reason in DUPLICATE for _number, reason in stored.left_out)
    counted = KeyBatch.objects.filter(pk=batch.pk)
    counted.update(
        state=BatchState.RUNNING,
        lines=chunk.lines,
        imported=F("imported") + stored.imported,
        duplicates=F("duplicates") + duplicates,
        refused=F("refused") + len(stored.left_out) - duplicates,
    )
    if chunk.is_last:
        _end(batch, BatchState.DONE)
        nothing = counted.filter(imported=0, duplicates=0, refused=0)
        nothing.update(state=BatchState.FAILED, failure=ImportFailure.EMPTY)
    else:
        KeyUpload.objects.filter(pk=upload.pk).update(position=chunk.ends)
    if stored.imported:
        add_to_stock(batch.variant, stored.imported, now=db_now())
    return True


def _comes_next(upload: KeyUpload, chunk: Chunk) -> bool:
    return KeyUpload.objects.filter(pk=upload.pk, position=chunk.begins).exists()


def _name_lines(batch: KeyBatch, stored: Stored) -> None:
    """The first MOST_NAMED lines that are left out, and no more."""
    room = max(0, MOST_NAMED - batch.duplicates - batch.refused)
    LeftOutLine.objects.bulk_create(
        LeftOutLine(batch=batch, line=number, reason=reason) for number, reason in stored.left_out[:room]
    )


def _end(batch: KeyBatch, state: BatchState, failure: ImportFailure | str = "") -> None:
    """In the caller's transaction, which holds the batch."""
    KeyBatch.objects.filter(pk=batch.pk).update(state=state, failure=failure)
    KeyUpload.objects.filter(batch=batch).delete()
