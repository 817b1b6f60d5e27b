"""What the workers do for inventory. Each drains its outbox rows; how often it is woken does not matter."""

from datetime import timedelta

from celery import shared_task

from cardshop.common.clock import db_now
from cardshop.outbox.services import drain
from inventory import withdrawing
from inventory.imports import running, spool, undoing

# One at a time, each for a good while and then to the end of a chunk.
LEASE = timedelta(seconds=30)


@shared_task(name=running.TASK)
def import_keys() -> None:
    drain(running.TASK, running.import_batches, clock=db_now, batch=1, lease=LEASE)


@shared_task(name=undoing.TASK)
def undo_imports() -> None:
    drain(undoing.TASK, undoing.undo_batches, clock=db_now, batch=1, lease=LEASE)


@shared_task(name="inventory.sweep_uploads")
def sweep_uploads() -> None:
    spool.sweep_orphans(db_now())


@shared_task(name="inventory.void_expired_keys")
def void_expired_keys() -> None:
    withdrawing.void_expired_keys(db_now())


@shared_task(name="inventory.void_batch")
def void_batch() -> None:
    drain("inventory.void_batch", withdrawing.void_batches, clock=db_now, batch=1)
