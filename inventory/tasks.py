"""What the workers do for what is for sale."""

from celery import shared_task

from cardshop.common.clock import db_now
from cardshop.outbox.services import drain
from inventory import withdrawing


@shared_task(name="inventory.void_expired_keys")
def void_expired_keys() -> None:
    withdrawing.void_expired_keys(db_now())


@shared_task(name="inventory.void_batch")
def void_batch() -> None:
    drain("inventory.void_batch", withdrawing.void_batches, clock=db_now, batch=1)
