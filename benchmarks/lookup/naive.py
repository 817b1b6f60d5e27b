"""Look-ups as one would write them first: they stop as soon as there is nothing to be found."""

from datetime import datetime
from typing import TYPE_CHECKING

from django.apps import AppConfig

if TYPE_CHECKING:  # models are there only later
    from cardshop.shops.models import Shop


class NaiveConfig(AppConfig):
    name = "benchmarks.lookup"
    label = "lookup_naive"

    def ready(self) -> None:
        from orders.lookup import views

        # Put in the places that the views call.
        vars(views).update(token_by_number=_token_by_number, ask_for_links=_ask_for_links)


def _token_by_number(shop: "Shop", number: str, *, contact_email: str = "", password: str = "") -> str:
    from orders.lookup.errors import NoSuchOrder
    from orders.lookup.passwords import is_password
    from orders.models import LookupPassword, Order

    order = Order.objects.filter(shop=shop, number=number).first()
    if order is None:
        raise NoSuchOrder
    kept = LookupPassword.objects.filter(order=order).first()
    by_password = password and kept and is_password(password, kept.encoded)
    if not by_password and contact_email.lower() != order.contact_email.lower():
        raise NoSuchOrder
    return order.token


def _ask_for_links(shop: "Shop", contact_email: str, *, language: str, now: datetime) -> None:
    from orders.lookup.mailing import ask_for_links, recent_orders

    if recent_orders(shop, contact_email, now):
        ask_for_links(shop, contact_email, language=language, now=now)
