"""Alipay: what the platform refuses, and what it signs. What it answers is looked at by the shop's driver."""

import time

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from sandbox import alipay
from sandbox.ledger import Bill, Status, Trade

MERCHANT, STRANGER = generate_private_key(65537, 2048), generate_private_key(65537, 2048)


def signed(**changes: str) -> dict[str, str]:
    params = {
        "app_id": "2021001",
        "method": "m",
        "biz_content": '{"a": "b"}',
        "sign_type": "RSA2",
        "empty": "",
    }
    text = "&".join(f"{name}={value}" for name, value in sorted(params.items()) if value)
    return {**params, "sign": alipay.sign(text, MERCHANT), **changes}


def test_what_the_merchant_has_signed_is_taken_and_nothing_else() -> None:
    assert alipay.is_signed(signed(), MERCHANT.public_key())
    assert not alipay.is_signed(signed(), STRANGER.public_key())
    for change in ({"app_id": "1"}, {"more": "x"}, {"sign": ""}, {"sign": "签"}, {"sign_type": "RSA"}):
        assert not alipay.is_signed(signed(**change), MERCHANT.public_key())


def test_a_call_is_stamped_by_beijings_clock() -> None:
    assert alipay.is_recent("1970-01-01 08:10:00", now=0)
    assert not alipay.is_recent("1970-01-01 08:10:01", now=0)


def test_no_time_is_not_now() -> None:
    assert not alipay.is_recent("now", now=time.time())


def trade(status: Status, **changes: int) -> Trade:
    bill = Bill(
        protocol="alipay",
        pid="2021001",
        out_trade_no="A1",
        type="alipay",
        name="x",
        asked_fen=990,
        param="",
        notify_url="",
        return_url="",
    )
    facts = {"money_fen": 990, "refunded_fen": 0, "is_scanned": 0, **changes}
    return Trade(trade_no="1", bill=bill, status=status, created_at=0, paid_at=None, repeat_of=None, **facts)


def test_a_trade_exists_once_it_is_scanned_or_paid() -> None:
    assert not alipay.exists(trade(Status.UNPAID))
    assert alipay.exists(trade(Status.UNPAID, is_scanned=1))
    assert alipay.exists(trade(Status.PAID))


def test_what_is_refunded_as_a_whole_is_closed() -> None:
    assert alipay.status_of(trade(Status.UNPAID)) == "WAIT_BUYER_PAY"
    assert alipay.status_of(trade(Status.PAID)) == "TRADE_SUCCESS"
    assert alipay.status_of(trade(Status.REFUNDED, refunded_fen=989)) == "TRADE_SUCCESS"
    assert alipay.status_of(trade(Status.REFUNDED, refunded_fen=990)) == "TRADE_CLOSED"
    assert alipay.status_of(trade(Status.CLOSED)) == "TRADE_CLOSED"
