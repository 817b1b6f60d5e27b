"""What the workers do for resellers."""

from celery import shared_task

from cardshop.common.clock import db_now
from cardshop.outbox.services import drain
from resellers.orders.asking import fill_accepted


@shared_task(name="resellers.fill_orders")
def fill_orders() -> None:
    drain("resellers.fill_orders", fill_accepted, clock=db_now, batch=200)
