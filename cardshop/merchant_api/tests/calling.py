"""The merchant's own program, for tests."""

import json
import secrets
from base64 import b64encode
from hashlib import sha256
from typing import Any

from cardshop.shops.models import Shop
from resellers.tests.calling import Program, make_program
from tests.factories import the_shop

API = "/api/merchant/v1/"


def make_own(shop: Shop | None = None, **terms: Any) -> Program:
    return make_program(shop or the_shop(), **{"label": "ERP", **terms})


def write(program: Program, path: str, said: Any = None, method: str = "POST", key: str = "") -> Any:
    body = b"" if said is None else json.dumps(said).encode()
    return program.call(API + path, method, body, headers={"Idempotency-Key": key or secrets.token_hex(8)})


def send_keys(program: Program, path: str, body: bytes, key: str = "", digest: bytes = b"") -> Any:
    announced = b64encode(digest or sha256(body).digest()).decode()
    headers = {
        "Content-Digest": f"sha-256=:{announced}:",
        "Idempotency-Key": key or secrets.token_hex(8),
        "Authorization": program.signed(API + path, "POST", body),
    }
    return program.call(API + path, "POST", body, headers=headers)
