"""The sweep that makes every wake-up optional."""

from celery import shared_task

from cardshop.common.clock import db_now
from cardshop.outbox.services import due_tasks, wake


@shared_task(name="outbox.sweep")
def sweep() -> None:
    """Wake the consumers of whatever is due: lost wake-ups, expired leases, retries."""
    for task in due_tasks(db_now()):
        wake(task)
