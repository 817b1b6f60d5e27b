"""What the workers do for the whole installation, and for those who look after its shops."""

from celery import shared_task

from cardshop.common.clock import db_now
from cardshop.operations import retention
from cardshop.operations.inviting import mail_invitations
from cardshop.outbox.services import drain
from orders.tasks import MAIL_LEASE


@shared_task(name="operations.prune")
def prune() -> None:
    retention.prune(db_now())


@shared_task(name="operations.mail_invitation")
def mail_invitation() -> None:
    drain("operations.mail_invitation", mail_invitations, clock=db_now, batch=20, lease=MAIL_LEASE)
