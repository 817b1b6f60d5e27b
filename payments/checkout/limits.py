"""How often one may try. A courtesy to providers and to the database: nothing is safe because of it."""

from django.conf import settings
from django.http import HttpRequest

from cardshop.traffic.tries import is_beyond
from orders.models import Order
from payments.errors import TooManyPresses, TooManyTries


def count_code(request: HttpRequest, order: Order) -> None:
    """Raises TooManyTries."""
    if _is_too_often(
        request, order, "balance", settings.CODE_TRIES_PER_ORDER, settings.CODE_TRIES_PER_ADDRESS
    ):
        raise TooManyTries


def count_press(request: HttpRequest, order: Order) -> None:
    """Before a provider is asked for anything. Raises TooManyPresses."""
    if _is_too_often(request, order, "press", settings.PRESSES_PER_ORDER, settings.PRESSES_PER_ADDRESS):
        raise TooManyPresses


def _is_too_often(request: HttpRequest, order: Order, what: str, per_order: str, per_address: str) -> bool:
    of_order = is_beyond(request, f"{what}-order", str(order.pk), per_order)
    of_address = is_beyond(request, f"{what}-address", request.META["REMOTE_ADDR"], per_address)
    return of_order or of_address
