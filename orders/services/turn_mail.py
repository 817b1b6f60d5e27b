"""The mail to whoever was next in line while nobody was looking: it is your turn, pay until then."""

from datetime import datetime

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from cardshop.common.links import absolute_url
from cardshop.common.templatetags.shopfront import localized
from cardshop.outbox.services import Failures
from orders.models import Order
from orders.services.mail import send_all
from orders.states import OrderStatus

SENDING = 15.0  # seconds; a mail begun then still ends within the lease


def mail_turns(order_ids: list[int], now: datetime) -> Failures:
    """Call each buyer to their order; returns the orders whose mail failed.

    A turn that is no longer to be paid for is over and says nothing. May be sent twice, never not.
    """
    turns = Order.objects.filter(pk__in=order_ids, status=OrderStatus.PENDING, reserved_until__gt=now)
    return send_all(turns, _message, within=SENDING)


def _message(order: Order) -> EmailMessage:
    """In the order's language."""
    with translation.override(order.language):
        shop_name = localized(order.shop, "name")
        body = render_to_string(
            "mail/turn.txt",
            {
                "order": order,
                "items": order.items.order_by("pk"),
                "shop_name": shop_name,
                "link": absolute_url(order.shop, reverse("order", args=[order.token])),
            },
        )
        return EmailMessage(
            subject=_("Your turn at %(shop)s: pay until %(until)s, order %(number)s")
            % {
                "shop": shop_name,
                "until": f"{localtime(order.reserved_until):%H:%M}",
                "number": order.number,
            },
            body=body,
            from_email=settings.DEFAULT_FROM_EMAIL,
            to=[order.contact_email],
            reply_to=[order.shop.contact_email] if order.shop.contact_email else None,
        )
