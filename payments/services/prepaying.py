"""Orders that an account pays for as they are placed: the ledger is ours, so nobody has to be asked."""

import secrets
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from cardshop.common.inserts import insert_new
from orders.models import Order
from payments.gateways.balance import DRIVER, transaction_number
from payments.ledger.entries import Debit, debit_all
from payments.models import Balance, Payment, PaymentAttempt, PaymentChannel, Receipt
from payments.states import AttemptStatus, PaymentStatus, ReceiptStatus, Source

ACCOUNTS = "accounts"


def account_channel(shop_id: int) -> PaymentChannel:
    """Through which accounts pay: the shop's first for balances. Where there is none, one is made that buyers
    are never offered.
    """
    for_balances = PaymentChannel.objects.filter(shop=shop_id, driver=DRIVER.name).order_by("pk")
    if found := for_balances.first():
        return found
    made = PaymentChannel(
        shop_id=shop_id,
        slug=ACCOUNTS,
        name="账户余额",
        name_en="Account",
        driver=DRIVER.name,
        method=DRIVER.methods[0],
        is_enabled=False,
    )
    if not insert_new([made], unique=["shop", "slug"]):
        if found := for_balances.first():  # a twin was faster
            return found
        made.slug = f"{ACCOUNTS}-{secrets.token_hex(4)}"  # the merchant has called another one so
        made.save(force_insert=True)
    return made


@transaction.atomic(savepoint=False)
def pay_from_balances(
    paid: Sequence[tuple[Order, Balance]], channel: PaymentChannel, *, now: datetime
) -> None:
    """Write payment, attempt, debit and receipt of each new order, as if a provider had told of its money.

    The caller holds the balances' locks and has seen that they are enough.
    """
    payments = Payment.objects.bulk_create(
        Payment(
            shop_id=order.shop_id,
            order=order,
            amount_minor=order.total_minor,
            currency=order.currency,
            status=PaymentStatus.SUCCEEDED,
            created_at=now,
            succeeded_at=now,
        )
        for order, _ in paid
    )
    attempts = PaymentAttempt.objects.bulk_create(
        PaymentAttempt(
            payment=payment,
            channel=channel,
            out_trade_no=f"{now:%y%m%d}{secrets.token_hex(12)}",
            amount_minor=payment.amount_minor,
            currency=payment.currency,
            status=AttemptStatus.SUCCEEDED,
            started_at=now,
        )
        for payment in payments
    )
    debits = [
        Debit(balance, order.total_minor, attempt.out_trade_no, reason=order.number)
        for (order, balance), attempt in zip(paid, attempts, strict=True)
    ]
    entries = debit_all(debits, now=now)
    Receipt.objects.bulk_create(
        Receipt(
            shop_id=payment.shop_id,
            channel=channel,
            provider_txn_id=transaction_number(entry),
            attempt=attempt,
            amount_minor=payment.amount_minor,
            currency=payment.currency,
            source=Source.LEDGER,
            received_at=now,
            status=ReceiptStatus.APPLIED,
        )
        for payment, attempt, entry in zip(payments, attempts, entries, strict=True)
    )
