"""Uploads of keys, and a worker that takes its time."""

from inventory import tasks
from inventory.imports.running import Terms, accept
from inventory.imports.spool import SpoolWriter
from inventory.models import KeyBatch, Variant
from tests.factories import NOON


def upload(variant: Variant, text: str | bytes, **terms: object) -> KeyBatch:
    """Accepted, and waiting for its import."""
    writer = SpoolWriter(now=NOON)
    writer.write(text.encode() if isinstance(text, str) else text)
    return accept(writer.close(), Terms(variant=variant, imported_by="lin", **terms), now=NOON)


def let_workers_work() -> None:
    tasks.import_keys()
    tasks.undo_imports()


def imported(variant: Variant, text: str | bytes, **terms: object) -> KeyBatch:
    batch = upload(variant, text, **terms)
    let_workers_work()
    batch.refresh_from_db()
    return batch


def left_out(batch: KeyBatch) -> list[tuple[int, str]]:
    return list(batch.left_out_lines.order_by("line").values_list("line", "reason"))
