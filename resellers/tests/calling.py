"""A reseller's program, for tests."""

import secrets
import time
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from django.test import Client

from cardshop.common.clock import db_now
from cardshop.shops.models import Shop
from resellers.accounts import open_reseller
from resellers.keys import make_key
from resellers.models import ApiKey, MerchantScope, Proof, Reseller, Scope
from resellers.signing import SCHEME, sign
from tests.factories import the_shop

API = "/api/reseller/v1/"


@dataclass
class Program:
    """Signs what it sends, unless it is told what to send."""

    key: ApiKey
    secret: str

    def call(self, path: str, method: str = "GET", body: bytes = b"", **sent: Any) -> Any:
        client = Client(headers={"accept-language": "en"})
        headers = {"Authorization": self.signed(path, method, body), "host": self.key.shop.host}
        headers |= sent.pop("headers", {})
        return client.generic(method, path, body, "application/json", headers=headers, **sent)

    def signed(self, path: str, method: str = "GET", body: bytes = b"", **said: Any) -> str:
        parts = {"timestamp": int(time.time()), "nonce": secrets.token_urlsafe(16), **said}
        digest = sha256(body).hexdigest()
        signature = sign(self.secret, method=method, path=path, body_digest=digest, **parts)
        return (
            f"{SCHEME} key={self.key.name}, timestamp={parts['timestamp']}, nonce={parts['nonce']},"
            f" signature={signature}"
        )


def make_reseller(name: str = "Partner", shop: Shop | None = None) -> Reseller:
    return open_reseller(shop or the_shop(), name=name, contact_email="p@example.org", now=db_now())


def make_program(owner: Reseller | Shop | None = None, **terms: Any) -> Program:
    """That may do all that a key of its owner may."""
    scopes = MerchantScope.values if isinstance(owner, Shop) else Scope.values
    terms = {"label": "their shop", "proof": Proof.SIGNED, "scopes": scopes, **terms}
    return Program(*make_key(owner or make_reseller(), now=db_now(), **terms))
