"""Names that reveal nothing: order numbers, link tokens, and keys derived from SECRET_KEY."""

import hmac
import secrets
from functools import lru_cache
from hashlib import sha256

from django.conf import settings

# 31 characters that are hard to mistake for each other. A prime count makes the weighted sum below
# catch every single wrong character and every swap of neighbours.
ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
_RANDOM_LENGTH = 10


def new_token() -> str:
    """128 random bits, URL-safe, 22 characters: whoever has it may see the order."""
    return secrets.token_urlsafe(16)


def new_order_number() -> str:
    """Ten random characters and a check character; tells neither volume nor neighbours."""
    drawn = secrets.randbelow(len(ALPHABET) ** _RANDOM_LENGTH)  # one draw: orders come in hundreds
    body = ""
    for _ in range(_RANDOM_LENGTH):
        drawn, digit = divmod(drawn, len(ALPHABET))
        body += ALPHABET[digit]
    return body + _check_character(body)


def is_order_number(text: str) -> bool:
    """Whether the check character fits: mistyped numbers end here, before any query."""
    return (
        len(text) == _RANDOM_LENGTH + 1
        and set(text) <= set(ALPHABET)
        and _check_character(text[:-1]) == text[-1]
    )


def _check_character(body: str) -> str:
    weighted = sum(weight * ALPHABET.index(char) for weight, char in enumerate(body, start=2))
    return ALPHABET[-weighted % len(ALPHABET)]


def derived_key(purpose: str) -> bytes:
    """A 32-byte key for one purpose. A leak of one says nothing about SECRET_KEY or the others."""
    return _derived_key(settings.SECRET_KEY, purpose)


@lru_cache(maxsize=64)
def _derived_key(secret: str, purpose: str) -> bytes:
    return hmac.digest(secret.encode(), b"cardshop:" + purpose.encode(), sha256)


def keyed_digest(purpose: str, *parts: str) -> str:
    """HMAC-SHA256 (hex) of the parts; lengths are included, so no two lists collide."""
    message = b"".join(len(part.encode()).to_bytes(4) + part.encode() for part in parts)
    return hmac.digest(derived_key(purpose), message, sha256).hex()
