"""One secret: sealed at import, compared by blind index, opened for its buyer."""

import hmac
import os
from collections.abc import Iterable, Sequence
from hashlib import sha256
from uuid import UUID

from cardshop.common.crypto import CannotOpen, key_id_of, keyring
from cardshop.shops.models import Shop
from inventory.models import CardKey, CardKeyStatus, IndexKey

WITNESSES = 5  # keys on either side


def context_of(uid: UUID | bytes, variant_id: int) -> bytes:
    """The additional authenticated data: this ciphertext opens in this row only."""
    return b"card-key:%s:%d" % (uid if isinstance(uid, bytes) else uid.bytes, variant_id)


def index_context_of(shop_id: int) -> bytes:
    """The same for the shop's index key."""
    return b"index-key:%d" % shop_id


def reveal(card_key: CardKey) -> str:
    """The secret in clear, for its buyer's eyes. Raises CannotOpen; never returns ciphertext."""
    context = context_of(card_key.uid, card_key.variant_id)
    return keyring().open(bytes(card_key.sealed), context).decode()


def opens(card_key: CardKey) -> bool:
    """Whether the secret can be had at all."""
    try:
        reveal(card_key)
    except CannotOpen:
        return False
    return True


def is_damaged(card_key: CardKey) -> bool:
    """Of a key that does not open: others of its batch, sealed under the same key-encryption key, do.

    So it is the row that is wrong. Where none of them does, the key-encryption key may be.
    """
    of_batch = CardKey.objects.filter(batch=card_key.batch_id)
    nearest = [
        *of_batch.filter(pk__gt=card_key.pk).order_by("pk")[:WITNESSES],
        *of_batch.filter(pk__lt=card_key.pk).order_by("-pk")[:WITNESSES],
    ]
    sealed_under = key_id_of(bytes(card_key.sealed))
    return any(sealed_under in ("", key_id_of(bytes(other.sealed))) and opens(other) for other in nearest)


def reusable_keys(variant_ids: Iterable[int]) -> dict[int, int]:
    """The id of the key that every buyer of a variant gets, by variant; others are left out."""
    current = CardKey.objects.filter(
        variant__in=set(variant_ids), is_reusable=True, status=CardKeyStatus.AVAILABLE
    )
    return dict(current.values_list("variant", "pk"))


class BlindIndex:
    """Fingerprints of a shop's secrets: HMAC-SHA256 under the shop's own index key."""

    def __init__(self, index_key: bytes) -> None:
        self._index_key = index_key

    def fingerprint(self, secret: str) -> bytes:
        return hmac.digest(self._index_key, secret.encode(), sha256)


def locked_blind_index(shop: Shop) -> BlindIndex:
    """The shop's blind index, its row locked until commit: a shop's imports go one at a time."""
    context = index_context_of(shop.pk)
    draft = IndexKey(shop=shop, sealed=keyring().seal(os.urandom(32), context))
    IndexKey.objects.bulk_create([draft], ignore_conflicts=True)
    row = IndexKey.objects.select_for_update(no_key=True).get(shop=shop)
    return BlindIndex(keyring().open(bytes(row.sealed), context))


def fingerprints_in_use(shop: Shop, fingerprints: Sequence[bytes]) -> set[bytes]:
    """Which of these secrets the shop already has, void ones not counted."""
    rows = CardKey.objects.filter(shop=shop, fingerprint__in=fingerprints).exclude(status=CardKeyStatus.VOID)
    return {bytes(found) for found in rows.values_list("fingerprint", flat=True) if found is not None}
