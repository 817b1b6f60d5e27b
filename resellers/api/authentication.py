"""Who is calling: by a signature, or by a key that is sent along for reading only."""

import time
from collections.abc import Callable
from hmac import compare_digest

from django.db import connection
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from cardshop.common.crypto import CannotOpen
from cardshop.common.rows import columns, instance, width
from cardshop.shops.middleware import shop_of
from cardshop.shops.models import Shop
from cardshop.traffic.buckets import Bucket
from payments.models import Balance
from resellers import signing
from resellers.errors import NotFromThere, NotKnown, Replayed, StaleRequest, Suspended
from resellers.keys import BETWEEN, digest_of, is_from_there, is_name
from resellers.models import ApiKey, Proof, Reseller

# Of every nonce a bucket with one token, which comes back when the time of the request has long passed. Where
# Redis cannot say, the request passes: its time is now, what it orders happens once for its Idempotency-Key,
# and whoever could send it again has read its answer as well.
_ONCE = Bucket("nonce", 1 / (2 * signing.WINDOW), 1)

_WORKING = f"""
    SELECT {columns(ApiKey, "key")}, {columns(Reseller, "reseller")}, {columns(Balance, "balance")}
    FROM resellers_apikey AS key
    JOIN resellers_reseller AS reseller ON reseller.id = key.reseller_id
    JOIN payments_balance AS balance ON balance.id = reseller.balance_id
    WHERE key.name = %(name)s AND key.proof = %(proof)s AND key.shop_id = %(shop)s
      AND key.revoked_at IS NULL AND (key.expires_at IS NULL OR key.expires_at > clock_timestamp())"""  # noqa: S608  columns of ours

# The key of that name and proof, if it works at the moment in that shop and is let in.
FindKey = Callable[[Shop, str, Proof], ApiKey | None]


def resellers_key(shop: Shop, name: str, proof: Proof) -> ApiKey | None:
    """With its reseller, the balance and the shop."""
    with connection.cursor() as cursor:
        cursor.execute(_WORKING, {"name": name, "proof": proof, "shop": shop.pk})
        row = cursor.fetchone()
    if row is None:
        return None
    key = instance(ApiKey, row[: width(ApiKey)])
    reseller = instance(Reseller, row[width(ApiKey) : width(ApiKey) + width(Reseller)])
    reseller.balance = instance(Balance, row[width(ApiKey) + width(Reseller) :])
    reseller.shop, key.shop, key.reseller = shop, shop, reseller
    return key


class ApiKeyAuthentication(BaseAuthentication):
    """Lets in whoever has a key that `find` finds; `body_digest` tells the hexadecimal SHA-256 of the body.

    Raises NotKnown, StaleRequest, Replayed, NotFromThere and Suspended; nobody is let in unnamed.
    """

    def __init__(self, find: FindKey, body_digest: Callable[[HttpRequest], str]) -> None:
        self._find, self._body_digest = find, body_digest

    def authenticate(self, request: Request) -> tuple[None, ApiKey]:
        http = request._request
        scheme, _, credentials = http.headers.get("Authorization", "").partition(" ")
        match scheme:
            case signing.SCHEME:
                key = self._by_signature(http, credentials)
            case signing.BEARER:
                key = self._by_secret(http, credentials)
            case _:
                raise NotKnown
        if not is_from_there(key.networks, http.META["REMOTE_ADDR"]):
            raise NotFromThere
        if key.reseller and key.reseller.is_suspended:
            raise Suspended
        return None, key

    def _by_signature(self, request: HttpRequest, credentials: str) -> ApiKey:
        said = signing.read(credentials)
        key = self._working(request, said.key, Proof.SIGNED) if said else None
        if said is None or key is None or not self._has_signed(key, said, request):
            raise NotKnown
        # What is said of time and nonce is believed now, and told to nobody who does not have the secret.
        if abs(said.timestamp - time.time()) > signing.WINDOW:
            raise StaleRequest
        taken = _ONCE.take(f"{key.name}:{said.nonce}")
        if taken is not None and not taken.allowed:
            raise Replayed
        return key

    def _has_signed(self, key: ApiKey, said: signing.Signature, request: HttpRequest) -> bool:
        try:
            secret = key.opened_secret()
        except CannotOpen:
            return False
        method, path, digest = str(request.method), request.get_full_path(), self._body_digest(request)
        return signing.fits(said, secret, method=method, path=path, body_digest=digest)

    def _by_secret(self, request: HttpRequest, credentials: str) -> ApiKey:
        name, _, secret = credentials.strip().partition(BETWEEN)
        key = self._working(request, name, Proof.BEARER)
        if key is None or not compare_digest(key.secret_digest, digest_of(name, secret)):
            raise NotKnown
        return key

    def _working(self, request: HttpRequest, name: str, proof: Proof) -> ApiKey | None:
        return self._find(shop_of(request), name, proof) if is_name(name) else None
