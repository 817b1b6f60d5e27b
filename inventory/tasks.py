"""What the workers do for what is for sale."""

from celery import shared_task

from cardshop.common.clock import db_now
from inventory import withdrawing


@shared_task(name="inventory.void_expired_keys")
def void_expired_keys() -> None:
    withdrawing.void_expired_keys(db_now())
