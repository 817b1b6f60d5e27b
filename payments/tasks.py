"""What the workers do for payments. CELERY_TASK_ROUTES says which of it may wait for a provider."""

from datetime import datetime, timedelta

from celery import shared_task

from cardshop.common.clock import db_now
from cardshop.outbox.services import drain
from payments.services.closing import close_due_orders as close_due
from payments.services.closing import finish_closing as finish
from payments.services.evidence import settle_receipt
from payments.services.notices import apply_notice
from payments.services.polling import poll_due_attempts

# Several calls to a provider, each with all its time-outs; after a crash still made good within a minute.
PROVIDER_LEASE = timedelta(seconds=40)


@shared_task(name="payments.apply_notices")
def apply_notices() -> None:
    drain("payments.apply_notices", _apply_notices, clock=db_now, batch=1, lease=PROVIDER_LEASE)


@shared_task(name="payments.settle_receipts")
def settle_receipts() -> None:
    drain("payments.settle_receipts", _settle_receipts, clock=db_now, batch=20)


@shared_task(name="payments.finish_closing")
def finish_closing() -> None:
    drain("payments.finish_closing", _finish_closing, clock=db_now, batch=1, lease=PROVIDER_LEASE)


@shared_task(name="payments.close_due_orders")
def close_due_orders() -> None:
    close_due(db_now())


@shared_task(name="payments.poll_attempts")
def poll_attempts() -> None:
    poll_due_attempts(clock=db_now)


def _apply_notices(event_ids: list[int], now: datetime) -> None:
    for event_id in event_ids:
        apply_notice(event_id, now=now)


def _settle_receipts(receipt_ids: list[int], now: datetime) -> None:
    for receipt_id in receipt_ids:
        settle_receipt(receipt_id, now=now)


def _finish_closing(order_ids: list[int], now: datetime) -> None:
    for order_id in order_ids:
        finish(order_id, now=now)
