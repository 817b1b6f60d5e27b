"""What the workers do for orders. Each drains its outbox rows; how often it is woken does not matter."""

from datetime import timedelta

from celery import shared_task

from cardshop.common.clock import db_now
from cardshop.outbox.services import drain
from orders.lookup.mailing import mail_links
from orders.services.delivery import (
    complete_delivered_orders,
    deliver_all_waiting,
    deliver_orders,
    deliver_waiting,
)
from orders.services.fulfilling import put_overdue_before_person
from orders.services.mail import mail_delivered_orders
from orders.services.replacing import mail_replacements
from orders.services.turn_mail import mail_turns

# A mail server may take EMAIL_TIMEOUT for each of several steps, and several mails may have gone before
# that; after a crash the mail still goes out within a minute.
MAIL_LEASE = timedelta(seconds=40)


@shared_task(name="orders.deliver")
def deliver() -> None:
    drain("orders.deliver", deliver_orders, clock=db_now, batch=200)


@shared_task(name="orders.deliver_isolated")
def deliver_isolated() -> None:
    """The same for isolated variants, whose rush must not keep other deliveries waiting."""
    drain("orders.deliver_isolated", deliver_orders, clock=db_now, batch=200)


@shared_task(name="orders.serve_waiting")
def deliver_those_who_waited() -> None:
    drain("orders.serve_waiting", deliver_waiting, clock=db_now, batch=20)


@shared_task(name="orders.serve_all_waiting")
def deliver_whoever_waited() -> None:
    deliver_all_waiting(db_now())


@shared_task(name="orders.mail_delivery")
def mail_deliveries() -> None:
    drain("orders.mail_delivery", mail_delivered_orders, clock=db_now, batch=20, lease=MAIL_LEASE)


@shared_task(name="orders.mail_replacement")
def mail_replacement() -> None:
    drain("orders.mail_replacement", mail_replacements, clock=db_now, batch=20, lease=MAIL_LEASE)


@shared_task(name="orders.complete_delivered")
def complete_delivered() -> None:
    while complete_delivered_orders(db_now()):
        pass


@shared_task(name="orders.put_overdue_before_person")
def put_overdue() -> None:
    put_overdue_before_person(db_now())


@shared_task(name="orders.mail_turn")
def mail_turn() -> None:
    drain("orders.mail_turn", mail_turns, clock=db_now, batch=10, lease=MAIL_LEASE)


@shared_task(name="orders.mail_lookup")
def mail_lookup() -> None:
    drain("orders.mail_lookup", mail_links, clock=db_now, batch=10, lease=MAIL_LEASE)
