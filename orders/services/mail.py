"""The mail that says that the keys are there: a link, and the keys only where the merchant wants that.

Other mails about orders go the same way: see `send_all`.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from smtplib import SMTPRecipientsRefused, SMTPResponseException

import structlog
from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db.models import QuerySet
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from cardshop.common.links import absolute_url
from cardshop.common.templatetags.shopfront import localized
from cardshop.outbox.services import Failures, NotReached
from inventory.models import Product
from orders.metrics import mails
from orders.models import Order, OrderItem
from orders.selectors import RevealedKeys, bought_products, revealed_keys
from orders.services.fulfilling import waiting_lines
from orders.states import OrderStatus

logger = structlog.get_logger(__name__)

# Seconds. More than that of one batch would not end within its lease with a slow mail server.
SENDING = 5.0


def mail_delivered_orders(order_ids: list[int], now: datetime) -> Failures:
    """Mail each order's link to its contact; returns those that failed. May be sent twice, never not."""
    products = bought_products(order_ids)
    return send_all(
        Order.objects.filter(pk__in=order_ids),
        lambda order: _message(order, products.get(order.pk, [])),
        within=SENDING,
    )


def send_all(
    orders: QuerySet[Order], message_of: Callable[[Order], EmailMessage], *, within: float
) -> Failures:
    """Send each order's message, as long as `within` (seconds) allows; returns the orders that failed."""
    failed: dict[int, Exception] = {}
    to_send: dict[int, EmailMessage] = {}
    # An order of long ago has forgotten whom it could write to.
    for order in orders.exclude(contact_email="").select_related("shop").order_by("pk"):
        try:
            to_send[order.pk] = message_of(order)
        except Exception as error:  # noqa: BLE001  a key that does not open is no other buyer's trouble
            failed[order.pk] = error
    return {**failed, **post(to_send, within=within)}


def post(messages: Mapping[int, EmailMessage], *, within: float) -> Failures:
    """Send the messages, told by their subjects, within so many seconds; returns the subjects that failed.

    All go over one connection, since opening one costs more than the mail. When it fails, so do all that
    were still to go: asking a dead server again for each would take its time-outs again for each.
    """
    if not messages:
        return {}
    to_send = dict(messages)
    failed: dict[int, Exception] = {}
    why_not: Exception = NotReached()
    began = time.monotonic()
    try:
        with _post_office() as post_office:
            while to_send and time.monotonic() - began < within:
                subject_id = next(iter(to_send))
                try:
                    post_office.send_messages([to_send[subject_id]])
                    mails.labels("sent").inc()
                except (SMTPRecipientsRefused, SMTPResponseException) as error:
                    mails.labels("refused").inc()
                    failed[subject_id] = error  # a no to this one
                del to_send[subject_id]
    except Exception as error:  # noqa: BLE001  each backend raises what its server makes it
        mails.labels("failed").inc(len(to_send))
        why_not = error
    return {**failed, **dict.fromkeys(to_send, why_not)}


@contextmanager
def _post_office() -> Iterator[BaseEmailBackend]:
    connection = get_connection()
    connection.open()
    try:
        yield connection
    finally:
        try:
            connection.close()
        except Exception as error:  # noqa: BLE001  what it has taken is sent, and must not be sent again
            logger.warning("mail server left without a word", error=type(error).__name__)


def message_to(
    order: Order, *, subject: Promise, template: str, context: Mapping[str, object]
) -> EmailMessage:
    """In the order's language. `subject` may name `%(shop)s`, `%(number)s` and what is in `context`."""
    with translation.override(order.language):
        shop_name = localized(order.shop, "name")
        link = absolute_url(order.shop, reverse("order", args=[order.token]))
        about = {"order": order, "shop_name": shop_name, "link": link, **context}
        return EmailMessage(
            subject=str(subject) % {"shop": shop_name, "number": order.number, **context},
            body=render_to_string(template, about),
            from_email=settings.DEFAULT_FROM_EMAIL,
            to=[order.contact_email],
            reply_to=[order.shop.contact_email] if order.shop.contact_email else None,
        )


def _message(order: Order, products: Sequence[Product]) -> EmailMessage:
    return message_to(
        order,
        subject=_("Your keys from %(shop)s, order %(number)s"),
        template="mail/delivered.txt",
        context={
            "lines": _plain_keys(order),
            "products": products,
            "more_follows": order.status == OrderStatus.PAID and waiting_lines().filter(order=order).exists(),
        },
    )


def _plain_keys(order: Order) -> list[tuple[OrderItem, RevealedKeys]] | None:
    """All of them or none: of keys that do not open the page has more to say."""
    lines = revealed_keys(order) if order.shop.mail_plain_keys else []
    return None if any(keys.closed for _item, keys in lines) else lines
