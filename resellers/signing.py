"""How a request is signed, and how one that was signed is read.

    Authorization: Cardshop-HMAC-SHA256 key=ck_…, timestamp=1795000000, nonce=…, signature=…

`timestamp` is Unix seconds, `nonce` 16 to 64 letters, digits, `-` and `_` that were never sent before, and
`signature` the hexadecimal HMAC-SHA256, under the key's secret, of five lines joined by a line feed: the
method; path and query as they stand in the request line; timestamp; nonce; the hexadecimal SHA-256 of the
body.

The sum covers everything that the answer depends on but the host, which is the key's shop.
"""

import hmac
import re
from dataclasses import dataclass

SCHEME = "Cardshop-HMAC-SHA256"
BEARER = "Bearer"  # the other way: the secret is sent along
WINDOW = 300  # seconds that a clock may be wrong, either way
_PARTS = re.compile(
    r"key=(?P<key>ck_[a-z2-7]{20}), ?timestamp=(?P<timestamp>[0-9]{1,12}), ?"
    r"nonce=(?P<nonce>[-_A-Za-z0-9]{16,64}), ?signature=(?P<signature>[0-9a-f]{64})",
    re.ASCII,
)


@dataclass(frozen=True)
class Signature:
    """What the header says."""

    key: str
    timestamp: int
    nonce: str
    signature: str


def read(credentials: str) -> Signature | None:
    """What stands behind the scheme; None for what is no signature."""
    if not (parts := _PARTS.fullmatch(credentials.strip())):
        return None
    return Signature(parts["key"], int(parts["timestamp"]), parts["nonce"], parts["signature"])


def sign(secret: str, *, method: str, path: str, timestamp: int, nonce: str, body_digest: str) -> str:
    """`body_digest` is the hexadecimal SHA-256 of the body."""
    lines = [method, path, str(timestamp), nonce, body_digest]
    return hmac.digest(secret.encode(), "\n".join(lines).encode(), "sha256").hex()


def fits(said: Signature, secret: str, *, method: str, path: str, body_digest: str) -> bool:
    """In a time that says nothing of where it differs."""
    right = sign(
        secret,
        method=method,
        path=path,
        timestamp=said.timestamp,
        nonce=said.nonce,
        body_digest=body_digest,
    )
    return hmac.compare_digest(right, said.signature)
