"""What the workers do for alerts: look every quarter of a minute, and send."""

from datetime import timedelta

from celery import shared_task

from cardshop.alerts.looking import look_at_all
from cardshop.alerts.sending import send_messages
from cardshop.alerts.telling import TASK, tell, write_messages
from cardshop.common.clock import db_now
from cardshop.outbox.services import drain

# A call with its time-outs, a mail with those of a slow server.
LEASE = timedelta(seconds=40)


@shared_task(name="alerts.look")
def look() -> None:
    seen, kinds = look_at_all(db_now())
    now = db_now()
    tell(seen, kinds, now=now)
    write_messages(now)


@shared_task(name=TASK)
def send() -> None:
    drain(TASK, send_messages, clock=db_now, batch=1, lease=LEASE)
