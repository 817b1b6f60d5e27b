"""By e-mail: the request only writes down that somebody asked; a worker sees what there is to mail."""

from datetime import datetime, timedelta

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Q
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from cardshop.common.links import absolute_url
from cardshop.common.templatetags.shopfront import localized
from cardshop.outbox.services import Failures, promise
from cardshop.shops.models import Shop
from orders.lookup.links import VALID_FOR, make_link
from orders.models import LookupRequest, Order
from orders.services.mail import post
from orders.states import PAID_FOR

RECENT = timedelta(days=180)
MOST_ORDERS = 20
SENDING = 15.0  # seconds; a mail begun then still ends within the lease


@transaction.atomic(durable=True)
def ask_for_links(shop: Shop, contact_email: str, *, language: str, now: datetime) -> None:
    """The links of the orders of this address will be mailed there, if it has any."""
    asked = LookupRequest.objects.create(
        shop=shop, contact_email=contact_email, language=language, asked_at=now
    )
    promise("orders.mail_lookup", [asked.pk], shop_id=shop.pk, now=now)


def mail_links(request_ids: list[int], now: datetime) -> Failures:
    """Answer each request, and forget it; returns those whose mail failed. May be sent twice, never not."""
    requests = LookupRequest.objects.filter(pk__in=request_ids).select_related("shop")
    orders = {asked: recent_orders(asked.shop, asked.contact_email, now) for asked in requests}
    messages = {asked.pk: _message(asked, found, now) for asked, found in orders.items() if found}
    failed = post(messages, within=SENDING)
    LookupRequest.objects.filter(pk__in=request_ids).exclude(pk__in=failed).delete()
    return failed


def recent_orders(shop: Shop, contact_email: str, now: datetime) -> list[Order]:
    """Those of an address, with their lines: first what was paid for, and of that the newest."""
    found = (
        Order.objects.filter(
            shop=shop, contact_email__iexact=contact_email, placed_at__gt=now - RECENT, is_top_up=False
        )
        .annotate(is_paid=Q(status__in=PAID_FOR))
        .order_by("-is_paid", "-placed_at")
        .prefetch_related("items")[:MOST_ORDERS]
    )
    # PostgreSQL takes more letters for the same than mail does: without this, an address in a domain that
    # only looks alike would be sent the links of another's orders.
    return [order for order in found if order.contact_email.lower() == contact_email.lower()]


def _message(asked: LookupRequest, orders: list[Order], now: datetime) -> EmailMessage:
    shop, contact = asked.shop, orders[0].contact_email
    link = make_link(shop_id=shop.pk, contact_email=contact, now=now)
    with translation.override(asked.language):
        shop_name = localized(shop, "name")
        context = {
            "shop": shop,
            "shop_name": shop_name,
            "until": localtime(now + VALID_FOR),
            "orders": [
                (order, absolute_url(shop, reverse("lookup_link", args=[link, order.number])))
                for order in orders
            ],
        }
        return EmailMessage(
            subject=_("Your orders at %(shop)s") % {"shop": shop_name},
            body=render_to_string("mail/lookup.txt", context),
            from_email=settings.DEFAULT_FROM_EMAIL,
            to=[contact],  # as the order has it, not as somebody typed it
            reply_to=[shop.contact_email] if shop.contact_email else None,
        )
