"""What the workers do for orders. Each drains its outbox rows; how often it is woken does not matter."""

from datetime import datetime, timedelta

from celery import shared_task

from cardshop.common.clock import db_now
from cardshop.outbox.services import drain
from orders.models import Order
from orders.services.delivery import complete_delivered_orders, deliver_orders
from orders.services.mail import mail_delivery

# A mail server may take EMAIL_TIMEOUT for each of several steps; after a crash the mail still goes out
# within a minute.
MAIL_LEASE = timedelta(seconds=40)


@shared_task(name="orders.deliver")
def deliver() -> None:
    drain("orders.deliver", deliver_orders, clock=db_now, batch=100)


@shared_task(name="orders.mail_delivery")
def mail_deliveries() -> None:
    drain("orders.mail_delivery", _mail, clock=db_now, batch=1, lease=MAIL_LEASE)


@shared_task(name="orders.complete_delivered")
def complete_delivered() -> None:
    while complete_delivered_orders(db_now()):
        pass


def _mail(order_ids: list[int], now: datetime) -> None:
    for order in Order.objects.select_related("shop").filter(pk__in=order_ids):
        mail_delivery(order)
