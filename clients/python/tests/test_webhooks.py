"""Only what is signed, and of now, is believed."""

import hashlib
import hmac
import json

import pytest
from cardshop_client import BadSignature, read_delivery

SECRET = "the secret of the webhook"
BODY = json.dumps(
    {
        "id": "0b0c8a52-6c3f-4f5a-8f53-0b2a3c1d9d10",
        "kind": "order.delivered",
        "subject": "7KD2MXH4PAQ",
        "at": "2026-11-27T12:00:00+08:00",
        "data": {"order": "7KD2MXH4PAQ"},
    }
).encode()


def headers(body: bytes = BODY, secret: str = SECRET) -> dict[str, str]:
    signed = b"1795752000.a-delivery." + body
    return {
        "Cardshop-Timestamp": "1795752000",
        "Cardshop-Delivery": "a-delivery",
        "Cardshop-Signature": hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest(),
    }


def test_what_the_shop_has_sent_is_read():
    said = read_delivery(headers(), BODY, SECRET, now=1795752010)

    assert (said.id, said.event.kind, said.event.subject) == ("a-delivery", "order.delivered", "7KD2MXH4PAQ")


@pytest.mark.parametrize(
    ("said", "body", "now"),
    [
        (headers(secret="another"), BODY, 1795752010),
        (headers(), BODY + b" ", 1795752010),
        (headers(), BODY, 1795752000 + 301),
        ({}, BODY, 1795752010),
        ({**headers(), "Cardshop-Timestamp": "1795752009"}, BODY, 1795752010),
    ],
)
def test_all_else_is_not_believed(said: dict[str, str], body: bytes, now: float):
    with pytest.raises(BadSignature):
        read_delivery(said, body, SECRET, now=now)
