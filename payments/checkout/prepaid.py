"""Paying with the code of a prepaid balance: a polite look before, and the money found at once after."""

from collections.abc import Callable

import structlog
from django.http import HttpRequest

from cardshop.common.clock import db_now
from orders.models import Order
from payments.checkout.limits import count_code
from payments.errors import ChannelUnavailable
from payments.gateways.base import GatewayError
from payments.ledger.entries import balance_of, require_money
from payments.models import BalanceEntry, PaymentAttempt
from payments.selectors import attempts_of
from payments.services.polling import ask_provider
from payments.states import EntryKind, Source

logger = structlog.get_logger(__name__)

METHOD = "balance"


def pay_prepaid(
    request: HttpRequest, order: Order, code: str, start: Callable[[], PaymentAttempt]
) -> PaymentAttempt:
    """What `start` starts, once the code has been looked at: the attempt itself only hears a yes or a no.

    Raises TooManyTries, UnknownCode, OtherCurrency, NotEnoughBalance and what `start` raises.
    """
    count_code(request, order)
    if not _has_paid(order):
        _look_at(code, order)
    try:
        attempt = start()
    except ChannelUnavailable:
        _look_at(code, order)  # another order may have been faster, and then this says so
        raise
    try:
        ask_provider(attempt, source=Source.POLL, now=db_now())
    except GatewayError:
        logger.warning("balance not asked at once", attempt=attempt.out_trade_no)  # polling finds it
    return attempt


def _has_paid(order: Order) -> bool:
    """Who presses again, before the page knows, is not told that there is nothing left."""
    numbers = attempts_of(order).values("out_trade_no")
    return BalanceEntry.objects.filter(kind=EntryKind.PAYMENT, reference__in=numbers).exists()


def _look_at(code: str, order: Order) -> None:
    require_money(balance_of(code, shop_id=order.shop_id), order.total_minor, order.currency)
