"""One secret's life: sealed at import, compared by blind index, picked and opened at delivery."""

import hmac
import os
from collections.abc import Sequence
from hashlib import sha256
from uuid import UUID

from django.db import connection

from cardshop.common.crypto import keyring
from cardshop.shops.models import Shop
from inventory.errors import ShortPick
from inventory.models import CardKey, CardKeyStatus, IndexKey

PICK = """
    WITH picked AS MATERIALIZED (
        SELECT id FROM inventory_cardkey WHERE variant_id = %(variant)s AND status = 'available'
        ORDER BY expires_on, id LIMIT %(quantity)s FOR UPDATE {skip_locked}
    )
    UPDATE inventory_cardkey AS card_key SET status = 'sold'
    FROM picked WHERE card_key.id = picked.id
    RETURNING card_key.id"""


def context_of(uid: UUID | bytes, variant_id: int) -> bytes:
    """The additional authenticated data: this ciphertext opens in this row only."""
    return b"card-key:%s:%d" % (uid if isinstance(uid, bytes) else uid.bytes, variant_id)


def reveal(card_key: CardKey) -> str:
    """The secret in clear, for its buyer's eyes. Raises CannotOpen; never returns ciphertext."""
    context = context_of(card_key.uid, card_key.variant_id)
    return keyring().open(bytes(card_key.sealed), context).decode()


def pick_keys(*, variant_id: int, quantity: int, wait: bool = False) -> list[int]:
    """Mark `quantity` free keys sold, oldest first; returns their ids in that order.

    Keys locked by other deliveries are skipped, so a pick can fall short although the counter
    promised enough: then ShortPick is raised and the caller's transaction must roll back.
    With `wait`, under the Stock's lock, nothing is skipped: a shortage seen then is real.
    """
    sql = PICK.format(skip_locked="" if wait else "SKIP LOCKED")
    with connection.cursor() as cursor:
        cursor.execute(sql, {"variant": variant_id, "quantity": quantity})
        ids = sorted(row[0] for row in cursor.fetchall())
    if len(ids) < quantity:
        raise ShortPick(f"variant {variant_id}: {quantity} wanted, {len(ids)} picked")
    return ids


class BlindIndex:
    """Fingerprints of a shop's secrets: HMAC-SHA256 under the shop's own index key."""

    def __init__(self, index_key: bytes) -> None:
        self._index_key = index_key

    def fingerprint(self, secret: str) -> bytes:
        return hmac.digest(self._index_key, secret.encode(), sha256)


def locked_blind_index(shop: Shop) -> BlindIndex:
    """The shop's blind index, its row locked until commit: a shop's imports go one at a time."""
    context = b"index-key:%d" % shop.pk
    draft = IndexKey(shop=shop, sealed=keyring().seal(os.urandom(32), context))
    IndexKey.objects.bulk_create([draft], ignore_conflicts=True)
    row = IndexKey.objects.select_for_update(no_key=True).get(shop=shop)
    return BlindIndex(keyring().open(bytes(row.sealed), context))


def fingerprints_in_use(shop: Shop, fingerprints: Sequence[bytes]) -> set[bytes]:
    """Which of these secrets the shop already has, void ones not counted."""
    rows = CardKey.objects.filter(shop=shop, fingerprint__in=fingerprints).exclude(status=CardKeyStatus.VOID)
    return {bytes(found) for found in rows.values_list("fingerprint", flat=True)}
