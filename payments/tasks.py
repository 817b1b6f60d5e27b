"""What the workers do for payments. CELERY_TASK_ROUTES says which of it may wait for a provider."""

from datetime import timedelta
from functools import partial

from celery import shared_task

from cardshop.common.clock import db_now
from cardshop.outbox.services import drain
from orders.tasks import MAIL_LEASE
from payments.services import (
    calling_off,
    channel_mail,
    closing,
    evidence,
    notices,
    polling,
    recalls,
    reconciling,
    refund_mail,
    refund_sending,
    shortage,
    topping_up,
)
from payments.states import Source

# A call to a provider with all its time-outs, after those that were quick; after a crash still made good
# within a minute.
PROVIDER_LEASE = timedelta(seconds=40)


@shared_task(name="payments.apply_notices")
def apply_notices() -> None:
    apply = partial(notices.apply_notices, silent=set())
    drain("payments.apply_notices", apply, clock=db_now, batch=20, lease=PROVIDER_LEASE)


@shared_task(name="payments.settle_receipts")
def settle_receipts() -> None:
    drain("payments.settle_receipts", evidence.settle_receipts, clock=db_now, batch=200)


@shared_task(name="payments.credit_accounts")
def credit_accounts() -> None:
    drain("payments.credit_accounts", topping_up.credit_accounts, clock=db_now, batch=50)


@shared_task(name="payments.finish_closing")
def finish_closing() -> None:
    finish = partial(closing.finish_closing, silent=set())
    drain("payments.finish_closing", finish, clock=db_now, batch=100, lease=PROVIDER_LEASE)


@shared_task(name="payments.call_off_attempts")
def call_off_attempts() -> None:
    call_off = partial(calling_off.call_off_attempts, source=Source.CLOSING, silent=set())
    drain("payments.call_off_attempts", call_off, clock=db_now, batch=20, lease=PROVIDER_LEASE)


@shared_task(name="payments.send_refunds")
def send_refunds() -> None:
    drain("payments.send_refunds", refund_sending.send_refunds, clock=db_now, batch=1, lease=PROVIDER_LEASE)


@shared_task(name="payments.reconcile")
def reconcile() -> None:
    reconciling.read_due_statements(clock=db_now)


@shared_task(name="payments.mail_refund")
def mail_refunds() -> None:
    drain("payments.mail_refund", refund_mail.mail_refunds, clock=db_now, batch=10, lease=MAIL_LEASE)


@shared_task(name="payments.follow_refunds")
def follow_refunds() -> None:
    refund_sending.follow_refunds(clock=db_now)


@shared_task(name="payments.mail_channel_changes")
def mail_channel_changes() -> None:
    send = channel_mail.mail_changes
    drain("payments.mail_channel_changes", send, clock=db_now, batch=10, lease=MAIL_LEASE)


@shared_task(name="payments.close_due_orders")
def close_due_orders() -> None:
    closing.close_due_orders(db_now())


@shared_task(name="payments.cover_shortage")
def cover_shortage() -> None:
    drain("payments.cover_shortage", shortage.cover_shortage, clock=db_now, batch=1)


@shared_task(name="payments.recall_keys")
def recall_keys() -> None:
    drain("payments.recall_keys", recalls.work_on_recalls, clock=db_now, batch=1)


@shared_task(name="payments.poll_attempts")
def poll_attempts() -> None:
    polling.poll_due_attempts(clock=db_now)
