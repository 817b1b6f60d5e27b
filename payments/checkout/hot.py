"""The short way for a look at an order and for its keys, which buyers ask for as long as they wait.

It gives the answers of `payments.checkout.api`.
"""

import re
from typing import TYPE_CHECKING

from django.utils import translation
from rest_framework.renderers import JSONRenderer

from cardshop.common.clock import db_now
from cardshop.common.errors import NotHere
from cardshop.shops.selectors import shop_for_host
from cardshop.traffic.short_way import Answer, OutOfTheOrdinary, allowed
from orders.selectors import order_by_token
from payments.checkout.api import described, described_keys
from payments.checkout.pages import order_state

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

ORDERS = "/api/v1/orders/"
_ONE_ORDER = re.compile(rf"{ORDERS}([-\w]{{1,60}})/(keys/)?", re.ASCII)


def order(environ: "WSGIEnvironment", language: str) -> Answer:
    """GET /api/v1/orders/TOKEN/ and its keys/."""
    asked = _ONE_ORDER.fullmatch(environ["PATH_INFO"])
    host = environ.get("HTTP_HOST", "")
    if not asked or environ["REQUEST_METHOD"] != "GET" or not allowed(host):
        raise OutOfTheOrdinary
    token, wants_keys = asked.groups()
    try:
        shop = shop_for_host(host)
        with translation.override(language):
            if wants_keys:
                said = described_keys(order_by_token(shop, token))
            else:
                said = described(order_state(shop, token, db_now()))
            body: bytes = JSONRenderer().render(said)
    except NotHere as nothing:
        raise OutOfTheOrdinary from nothing
    return 200, {"Cache-Control": "no-store"}, body
