"""Alipay: what the platform refuses, and what it signs. What it answers is looked at by the shop's driver."""

import time

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from sandbox import alipay

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
