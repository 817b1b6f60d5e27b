"""The sweep that makes every wake-up optional, and the sign of life of whoever takes it."""

from celery import shared_task

from cardshop.common.clock import db_now
from cardshop.outbox.heartbeats import show_life
from cardshop.outbox.services import due_tasks, wake


@shared_task(name="outbox.sweep")
def sweep() -> None:
    """Wake the consumers of whatever is due: lost wake-ups, expired leases, retries."""
    for task in due_tasks(db_now()):
        wake(task)


@shared_task(name="outbox.show_life")
def show_life_of(queue: str) -> None:
    """Sent by beat into each queue: whoever does it shows that beat, broker and that queue's workers live."""
    show_life(queue, now=db_now())
