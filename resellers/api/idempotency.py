"""The key under which a write happens once, and the digest that tells one request from another."""

import json
import re
from collections.abc import Mapping
from hashlib import sha256

from rest_framework.request import Request

from resellers.errors import KeyMissing

HEADER = "Idempotency-Key"
KEY = r"[!-~]{8,64}"


def key_in(request: Request) -> str:
    """Raises KeyMissing, also for one that cannot be."""
    key = request.headers.get(HEADER, "")
    if not re.fullmatch(KEY, key):
        raise KeyMissing
    return key


def digest_of(request: Request, body: Mapping[str, object]) -> str:
    """Of the address and of what was understood, however it was spelt."""
    return digest_of_said([request.method, request.path, body])


def digest_of_said(said: object) -> str:
    return sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()
