"""What the tests of the drivers ask to be paid."""

from datetime import timedelta

from payments.gateways.base import PayRequest, RefundRequest, Trade
from tests.factories import NOON

WANTED = PayRequest(
    out_trade_no="A1",
    amount_minor=990,
    currency="CNY",
    subject="订" * 300,
    notify_url="https://shop.example/n",
    return_url="https://shop.example/r",
    client_ip="192.0.2.1",
    on_phone=False,
    started_at=NOON,
    expires_at=NOON + timedelta(minutes=15),
)
A1 = Trade(out_trade_no="A1")
REFUND = RefundRequest(
    out_refund_no="R" * 32,
    trade=Trade(out_trade_no="A1", provider_txn_id="T1"),
    paid_minor=990,
    amount_minor=90,
    currency="CNY",
    reason="sold out",
    requested_at=NOON,
)
