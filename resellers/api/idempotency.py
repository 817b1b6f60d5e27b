"""The key under which a write happens once, and the digest that tells one request from another."""

import json
import re
from collections.abc import Mapping
from hashlib import sha256

from rest_framework.request import Request

from resellers.errors import KeyMissing

HEADER = "Idempotency-Key"
_KEY = re.compile(r"[\x21-\x7e]{8,64}", re.ASCII)


def key_in(request: Request) -> str:
    """Raises KeyMissing, also for one that cannot be."""
    key = request.headers.get(HEADER, "")
    if not _KEY.fullmatch(key):
        raise KeyMissing
    return key


def digest_of(request: Request, body: Mapping[str, object]) -> str:
    """Of the address and of what was understood, however it was spelt."""
    said = json.dumps([request.method, request.path, body], sort_keys=True, default=str)
    return sha256(said.encode()).hexdigest()
