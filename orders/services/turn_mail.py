"""The mail to whoever was next in line while nobody was looking: it is your turn, pay until then."""

from datetime import datetime

from django.core.mail import EmailMessage
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from cardshop.outbox.services import Failures
from orders.models import Order
from orders.services.mail import message_to, send_all
from orders.states import OrderStatus

SENDING = 15.0  # seconds; a mail begun then still ends within the lease


def mail_turns(order_ids: list[int], now: datetime) -> Failures:
    """Call each buyer to their order; returns the orders whose mail failed.

    A turn that is no longer to be paid for is over and says nothing. May be sent twice, never not.
    """
    turns = Order.objects.filter(pk__in=order_ids, status=OrderStatus.PENDING, reserved_until__gt=now)
    return send_all(turns, _message, within=SENDING)


def _message(order: Order) -> EmailMessage:
    return message_to(
        order,
        subject=_("Your turn at %(shop)s: pay until %(until)s, order %(number)s"),
        template="mail/turn.txt",
        context={
            "items": order.items.order_by("pk"),
            "until": f"{localtime(order.reserved_until):%H:%M}",
        },
    )
