"""How a delivery is signed, so that its receiver knows who sends it, and that it is not sent anew by others.

The signature is the hexadecimal HMAC-SHA256, under the endpoint's secret, of `timestamp.delivery.body`: the
Unix seconds, the delivery's uid and the body as it is sent. All of them stand in headers but the body.
"""

import hmac

KEY = "Cardshop-Key"
DELIVERY = "Cardshop-Delivery"
TIMESTAMP = "Cardshop-Timestamp"
SIGNATURE = "Cardshop-Signature"


def sign(secret: str, *, timestamp: int, delivery: str, body: bytes) -> str:
    return hmac.digest(secret.encode(), f"{timestamp}.{delivery}.".encode() + body, "sha256").hex()


def headers(secret: str, key: str, *, timestamp: int, delivery: str, body: bytes) -> dict[str, str]:
    return {
        KEY: key,
        DELIVERY: delivery,
        TIMESTAMP: str(timestamp),
        SIGNATURE: sign(secret, timestamp=timestamp, delivery=delivery, body=body),
    }
