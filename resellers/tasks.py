"""What the workers do for resellers, their people, and whoever listens to webhooks."""

from celery import shared_task

from cardshop.common.clock import db_now
from cardshop.outbox.services import drain
from orders.tasks import MAIL_LEASE
from resellers.events.emitting import SEND
from resellers.events.of_catalogue import tell_changes
from resellers.members.joining import WELCOME, mail_welcome
from resellers.members.logging_in import MAIL, mail_codes
from resellers.orders.asking import fill_accepted
from resellers.webhooks.sending import send_due


@shared_task(name="resellers.fill_orders")
def fill_orders() -> None:
    drain("resellers.fill_orders", fill_accepted, clock=db_now, batch=200)


@shared_task(name=MAIL)
def mail_log_ins() -> None:
    drain(MAIL, mail_codes, clock=db_now, batch=20, lease=MAIL_LEASE)


@shared_task(name=WELCOME)
def mail_members() -> None:
    drain(WELCOME, mail_welcome, clock=db_now, batch=20, lease=MAIL_LEASE)


@shared_task(name=SEND)
def send_webhooks() -> None:
    send_due(clock=db_now)


@shared_task(name="resellers.look_at_catalogue")
def look_at_catalogue() -> None:
    tell_changes(db_now())
