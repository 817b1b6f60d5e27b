"""What becomes of lines: left out for a reason, or sealed and copied into the table of keys."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

from django.db import connection

from cardshop.common.crypto import keyring
from inventory.card_keys import BlindIndex, context_of
from inventory.models import CardKeyStatus, KeyBatch, LeftOutReason

MAX_SECRET_BYTES = 2000
DUPLICATE = {LeftOutReason.REPEATED, LeftOutReason.KNOWN}

# The array is one parameter: thousands of them take longer to send and to plan than to look up.
KNOWN = """
    SELECT fingerprint, batch_id FROM inventory_cardkey
    WHERE shop_id = %s AND status <> 'void' AND fingerprint = ANY(%s::bytea[])"""
COPY = """
    COPY inventory_cardkey
        (shop_id, variant_id, batch_id, expires_on, status, is_reusable, uid, sealed, fingerprint)
    FROM STDIN"""

Line = tuple[int, str | None]
"""A line's number, counted from 1, and what stands there; None if that is too long to be read."""


@dataclass
class Stored:
    imported: int
    left_out: list[tuple[int, LeftOutReason]]


def store_keys(batch: KeyBatch, blind_index: BlindIndex, lines: Sequence[Line]) -> Stored:
    """Seal what are keys among the lines and store them with the batch, in the caller's transaction.

    The caller holds the shop's blind index, so no other import stores the same key meanwhile; whoever
    does it without meets the unique constraint. Counting the batch and the stock is the caller's too.
    """
    left_out: list[tuple[int, LeftOutReason]] = []
    found: dict[bytes, tuple[int, bytes]] = {}
    for number, text in lines:
        secret = _secret(text)
        if isinstance(secret, LeftOutReason):
            left_out.append((number, secret))
        elif secret:
            fingerprint = blind_index.fingerprint(secret)
            if fingerprint in found:
                left_out.append((number, LeftOutReason.REPEATED))
            else:
                found[fingerprint] = number, secret.encode()
    for fingerprint, batch_id in _known(batch.shop_id, found):
        number, _secret_bytes = found.pop(fingerprint)
        reason = LeftOutReason.REPEATED if batch_id == batch.pk else LeftOutReason.KNOWN
        left_out.append((number, reason))
    _copy(batch, {fingerprint: secret for fingerprint, (_number, secret) in found.items()})
    return Stored(len(found), sorted(left_out))


def _secret(text: str | None) -> str | LeftOutReason:
    """The key that stands in a line, empty if none does, or why it cannot be one."""
    if text is None:
        return LeftOutReason.TOO_LONG
    secret = text.strip().removeprefix("\ufeff")
    if len(secret.encode(errors="replace")) > MAX_SECRET_BYTES:
        return LeftOutReason.TOO_LONG
    return secret if secret.replace("\t", " ").isprintable() else LeftOutReason.NOT_TEXT


def _known(shop_id: int, fingerprints: dict[bytes, tuple[int, bytes]]) -> list[tuple[bytes, int]]:
    """Those that the shop has already, void ones not counted, each with the batch that it came with."""
    array = ",".join(rf'"\\x{fingerprint.hex()}"' for fingerprint in fingerprints)
    with connection.cursor() as cursor:
        cursor.execute(KNOWN, [shop_id, f"{{{array}}}"])
        return [(bytes(fingerprint), batch_id) for fingerprint, batch_id in cursor.fetchall()]


def _copy(batch: KeyBatch, secrets: dict[bytes, bytes]) -> None:
    if not secrets:
        return
    # Bytes, since a million UUIDs take longer to make than to encrypt by.
    random = os.urandom(16 * len(secrets))
    uids = [random[at : at + 16] for at in range(0, len(random), 16)]
    contexts = [context_of(uid, batch.variant_id) for uid in uids]
    all_sealed = keyring().seal_all(list(zip(secrets.values(), contexts, strict=True)))
    expires_on = batch.expires_on or r"\N"
    alike = (batch.shop_id, batch.variant_id, batch.pk, expires_on, CardKeyStatus.AVAILABLE, "f")
    head = "\t".join(str(value) for value in alike)
    rows = [
        f"{head}\t{uid.hex()}\t\\\\x{sealed.hex()}\t\\\\x{fingerprint.hex()}\n"
        for uid, sealed, fingerprint in zip(uids, all_sealed, secrets, strict=True)
    ]
    # Django wraps the errors of its own methods only.
    with connection.cursor() as cursor, connection.wrap_database_errors:
        cursor.copy_expert(COPY, BytesIO("".join(rows).encode()))
