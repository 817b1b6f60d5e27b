"""How often one may try. A courtesy to providers and to the database: nothing is safe because of it."""

from django.conf import settings
from django.http import HttpRequest
from django_ratelimit.core import is_ratelimited

from cardshop.traffic.metrics import rate_limited
from orders.models import Order
from payments.errors import TooManyPresses, TooManyTries


def count_code(request: HttpRequest, order: Order) -> None:
    """Every try counts, also the right one: looking first and counting later would let a crowd through.

    Raises TooManyTries.
    """
    if _is_too_often(
        request, order, "balance", settings.CODE_TRIES_PER_ORDER, settings.CODE_TRIES_PER_ADDRESS
    ):
        raise TooManyTries


def count_press(request: HttpRequest, order: Order) -> None:
    """Before a provider is asked for anything. Raises TooManyPresses."""
    if _is_too_often(request, order, "press", settings.PRESSES_PER_ORDER, settings.PRESSES_PER_ADDRESS):
        raise TooManyPresses


def _is_too_often(request: HttpRequest, order: Order, what: str, per_order: str, per_address: str) -> bool:
    of_order = _is_beyond(request, f"{what}-order", str(order.pk), per_order)
    of_address = _is_beyond(request, f"{what}-address", request.META["REMOTE_ADDR"], per_address)
    return of_order or of_address


def _is_beyond(request: HttpRequest, group: str, who: str, rate: str) -> bool:
    is_beyond = bool(is_ratelimited(request, group=group, key=lambda *_: who, rate=rate, increment=True))
    if is_beyond:
        rate_limited.labels(group).inc()
    return is_beyond
