"""The mail that says that money has gone back to the buyer."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from django.core.mail import EmailMessage
from django.utils.translation import gettext_lazy as _

from cardshop.common.money import display
from cardshop.outbox.services import Failures
from orders.models import Order
from orders.services.mail import message_to, send_all
from payments.models import Refund

SENDING = 15.0  # seconds; a mail begun then still ends within the lease


def mail_refunds(refund_ids: Sequence[int], now: datetime) -> Failures:
    """Tell each buyer; returns the refunds whose mail failed. May be sent twice, never not."""
    failed: dict[int, Exception] = {}
    for refund in Refund.objects.filter(pk__in=refund_ids).order_by("pk"):
        orders = Order.objects.filter(payment=refund.payment_id)
        for error in send_all(orders, partial(_message, refund=refund), within=SENDING).values():
            failed[refund.pk] = error
    return failed


def _message(order: Order, *, refund: Refund) -> EmailMessage:
    return message_to(
        order,
        subject=_("Your refund of %(amount)s from %(shop)s, order %(number)s"),
        template="mail/refund.txt",
        context={"amount": display(refund.amount_minor, refund.currency)},
    )
