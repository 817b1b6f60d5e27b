"""What beat has done for the whole installation."""

from celery import shared_task

from cardshop.common.clock import db_now
from cardshop.operations import retention


@shared_task(name="operations.prune")
def prune() -> None:
    retention.prune(db_now())
