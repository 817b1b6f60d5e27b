"""By number: what opens an order, and the same work where there is none."""

from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest

from django.db import connection

from cardshop.common.ids import keyed_digest, new_token
from cardshop.shops.models import Shop
from orders.lookup.errors import LinkOver, NoSuchOrder
from orders.lookup.links import is_link_of
from orders.lookup.passwords import decoy, is_password

# One row in any case: of the order, or of one that never was and that nothing opens.
_BY_NUMBER = """
    SELECT coalesce("order".token, %(token)s), coalesce("order".contact_email, ''),
        coalesce(password.encoded, %(encoded)s)
    FROM (SELECT) AS always LEFT JOIN orders_order AS "order"
        ON "order".number = %(number)s AND "order".shop_id = %(shop)s
    LEFT JOIN orders_lookuppassword AS password ON password.order_id = "order".id"""


@dataclass(frozen=True)
class _Numbered:
    token: str
    contact_email: str  # empty where there is no such order
    password: str  # encoded


def token_by_number(shop: Shop, number: str, *, contact_email: str = "", password: str = "") -> str:
    """The token of the shop's order with this number, if the e-mail or the password is the order's.

    Raises NoSuchOrder, after the same work whatever is wrong, and LookupBusy.
    """
    order = _numbered(shop, number)
    by_contact = _is_same_contact(contact_email, order.contact_email)
    by_password = is_password(password, order.password) if password else False
    if not (by_contact or by_password):
        raise NoSuchOrder
    return order.token


def token_by_link(shop: Shop, number: str, link: str, *, now: datetime) -> str:
    """The same for who brings a link that was mailed to the order's contact. Raises LinkOver."""
    order = _numbered(shop, number)
    if not is_link_of(link, shop_id=shop.pk, contact_email=order.contact_email, now=now):
        raise LinkOver
    return order.token


def _numbered(shop: Shop, number: str) -> _Numbered:
    with connection.cursor() as cursor:
        cursor.execute(
            _BY_NUMBER, {"token": new_token(), "encoded": decoy(), "number": number, "shop": shop.pk}
        )
        return _Numbered(*cursor.fetchone())


def _is_same_contact(given: str, known: str) -> bool:
    """False where none was given."""
    # Of digests, whose lengths say nothing.
    same = compare_digest(keyed_digest("contact", given.lower()), keyed_digest("contact", known.lower()))
    return same and bool(given)
