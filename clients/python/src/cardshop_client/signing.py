"""How a request is signed: see docs/resellers.md of Cardshop."""

import hashlib
import hmac
import secrets
import time

SCHEME = "Cardshop-HMAC-SHA256"


def authorization(key: str, secret: str, *, method: str, target: str, body: bytes) -> str:
    """The header, with the time and a nonce of now. `target` is the path with its query, as it is sent."""
    timestamp, nonce = str(int(time.time())), secrets.token_urlsafe(16)
    said = "\n".join([method, target, timestamp, nonce, hashlib.sha256(body).hexdigest()])
    signature = hmac.new(secret.encode(), said.encode(), hashlib.sha256).hexdigest()
    return f"{SCHEME} key={key}, timestamp={timestamp}, nonce={nonce}, signature={signature}"
