"""The delivery's mail once more, because its buyer asks for it."""

from datetime import datetime, timedelta

from django.db import transaction

from cardshop.common.locks import lock_rows
from cardshop.outbox.services import promise
from orders.errors import NothingToMail, TooManyResends
from orders.models import Order
from orders.services.transitions import BUYER, note
from orders.states import PAID_FOR

ASKED_AGAIN = "mail asked for again"
MOST_AN_HOUR = 3
_HOUR = timedelta(hours=1)


@transaction.atomic(durable=True)
def resend_mail(order: Order, *, now: datetime) -> None:
    """Raises NothingToMail while there is nothing to mail, and TooManyResends."""
    ((locked,),) = lock_rows(Order.objects.filter(pk=order.pk))
    if locked.status not in PAID_FOR or locked.delivered_at is None or locked.is_top_up:
        raise NothingToMail
    lately = locked.events.filter(reason=ASKED_AGAIN, actor=BUYER, at__gt=now - _HOUR)
    if lately.count() >= MOST_AN_HOUR:
        raise TooManyResends
    note(locked, reason=ASKED_AGAIN, actor=BUYER, now=now)
    promise("orders.mail_delivery", [locked.pk], shop_id=locked.shop_id, now=now)
