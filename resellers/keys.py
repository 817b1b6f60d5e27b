"""API keys: made, followed by another, revoked. A secret is told once, to whoever has it made."""

import re
import secrets
from base64 import b32encode, urlsafe_b64encode
from collections.abc import Collection
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from cardshop.common.crypto import keyring
from cardshop.common.errors import Invalid, NotHere
from cardshop.common.ids import keyed_digest
from cardshop.common.locks import lock_rows
from cardshop.shops.models import Shop
from resellers.models import BEARER_SCOPES, ApiKey, MerchantScope, Proof, Reseller, Scope

OVERLAP = timedelta(hours=24)  # for a program to take the new key
NAME = re.compile(r"ck_[a-z2-7]{20}", re.ASCII)
BETWEEN = "."  # of a key's name and its secret, where they are sent together


def make_key(
    owner: Reseller | Shop,
    *,
    label: str,
    proof: str,
    scopes: Collection[str],
    networks: str = "",
    expires_at: datetime | None = None,
    now: datetime,
) -> tuple[ApiKey, str]:
    """A new key, of a reseller or of the shop itself, and its secret.

    Raises Invalid for scopes that the owner's keys do not have, or none which is sent along.
    """
    shop, reseller = (owner.shop, owner) if isinstance(owner, Reseller) else (owner, None)
    offered = Scope.values if reseller else MerchantScope.values
    is_too_much = proof == Proof.BEARER and not BEARER_SCOPES.issuperset(scopes)
    if is_too_much or not set(offered).issuperset(scopes):
        raise Invalid(field="scopes")
    secret = new_secret()
    key = ApiKey(
        shop=shop,
        reseller=reseller,
        name=new_name("ck"),
        label=label,
        proof=proof,
        scopes=sorted(scopes),
        networks=networks,
        created_at=now,
        expires_at=expires_at,
    )
    if proof == Proof.SIGNED:
        key.sealed_secret = keyring().seal(secret.encode(), key.secret_context)
    else:
        key.secret_digest = digest_of(key.name, secret)
    key.save()
    return key, secret


def keys_of(reseller: Reseller) -> QuerySet[ApiKey]:
    return reseller.api_keys.order_by("-pk")


def key_called(reseller: Reseller, name: str) -> ApiKey:
    """Raises NotHere."""
    if (key := keys_of(reseller).filter(name=name).first()) is None:
        raise NotHere
    return key


def new_name(kind: str) -> str:
    """That nobody has had before."""
    return f"{kind}_{b32encode(secrets.token_bytes(13)).decode().lower()[:20]}"


def new_secret() -> str:
    return urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")


def is_name(text: str) -> bool:
    return NAME.fullmatch(text) is not None


def digest_of(name: str, secret: str) -> str:
    return keyed_digest("api-key", name, secret)


@transaction.atomic
def follow(key: ApiKey, *, now: datetime) -> tuple[ApiKey, str]:
    """A new key that may do the same; the old one works for OVERLAP more at most.

    Raises Invalid for one that does not work any more or is followed already.
    """
    ((old,),) = lock_rows(ApiKey.objects.select_related("shop", "reseller__shop").filter(pk=key.pk))
    if not old.works_at(now) or old.followed_by_id:
        raise Invalid
    new, secret = make_key(
        old.reseller or old.shop,
        label=old.label,
        proof=old.proof,
        scopes=old.scopes,
        networks=old.networks,
        expires_at=old.expires_at,
        now=now,
    )
    old.followed_by = new
    old.expires_at = min(filter(None, [old.expires_at, now + OVERLAP]))
    old.save(update_fields=["followed_by", "expires_at"])
    return new, secret


def revoke(key: ApiKey, *, now: datetime) -> bool:
    """At once. True only for the caller who did it."""
    return ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now) == 1


def read_networks(text: str) -> str:
    """Addresses and networks as callers are compared with them, one a line. Raises Invalid."""
    return "\n".join(_network(line) for line in text.split())


def _network(line: str) -> str:
    try:
        return str(ip_network(line, strict=False))
    except ValueError:
        raise Invalid(_("%s is neither an address nor a network.") % line, field="networks") from None


def is_from_there(networks: str, address: str) -> bool:
    """Whether a key with these `networks` may be used from `address`, which nobody may have told."""
    lines = networks.split()
    if not lines:
        return True
    try:
        caller = ip_address(address)
    except ValueError:
        return False
    caller = getattr(caller, "ipv4_mapped", None) or caller
    return any(caller in ip_network(line, strict=False) for line in lines)
