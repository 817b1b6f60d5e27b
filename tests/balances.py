"""Prepaid balances, for tests."""

from cardshop.common.clock import db_now
from orders.models import Order
from payments.ledger.entries import open_balance
from payments.models import Balance, PaymentAttempt, PaymentChannel
from payments.services.attempts import start_attempt
from tests.factories import the_shop


def balance_channel() -> PaymentChannel:
    return PaymentChannel.objects.get_or_create(
        shop=the_shop(),
        slug="balance",
        defaults={"name": "余额", "name_en": "Balance", "driver": "balance", "method": "balance"},
    )[0]


def make_balance(amount_minor: int = 5000, **fields: object) -> tuple[Balance, str]:
    """A balance as it is in the table, and its code."""
    said = {"holder": "Lin", "currency": "CNY", "reason": "paid in cash", "actor": "boss", **fields}
    balance, code = open_balance(shop_id=the_shop().pk, amount_minor=amount_minor, now=db_now(), **said)
    balance.refresh_from_db()
    return balance, code


def pay_with(order: Order, code: str) -> PaymentAttempt:
    """As the order page does once it has looked at the code."""
    return start_attempt(
        order,
        balance_channel(),
        return_url="http://127.0.0.1:9/return/{attempt}",
        client_ip="127.0.0.1",
        payer=code,
        now=db_now(),
    )


def left_on(balance: Balance) -> int:
    balance.refresh_from_db()
    return balance.amount_minor
