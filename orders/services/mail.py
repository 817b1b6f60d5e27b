"""The mail that says that the keys are there: a link, and the keys only where the merchant wants that."""

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _

from cardshop.common.links import absolute_url
from cardshop.common.templatetags.shopfront import localized
from orders.models import Order
from orders.selectors import revealed_keys


def mail_delivery(order: Order) -> None:
    """Mail the order's link to its contact, in the order's language. May be sent twice, never not."""
    with translation.override(order.language):
        shop_name = localized(order.shop, "name")
        body = render_to_string(
            "mail/delivered.txt",
            {
                "order": order,
                "shop_name": shop_name,
                "link": absolute_url(order.shop, reverse("order", args=[order.token])),
                "lines": revealed_keys(order) if order.shop.mail_plain_keys else None,
            },
        )
        EmailMessage(
            subject=_("Your keys from %(shop)s, order %(number)s")
            % {"shop": shop_name, "number": order.number},
            body=body,
            from_email=settings.DEFAULT_FROM_EMAIL,
            to=[order.contact_email],
            reply_to=[order.shop.contact_email] if order.shop.contact_email else None,
        ).send()
