"""Which keys a delivery hands over: those that expire first, never an expired one, and only what opens."""

from collections.abc import Sequence
from datetime import datetime

import structlog
from django.db import connection
from django.utils.timezone import localdate

from cardshop.common.rows import columns, instance
from inventory.card_keys import is_damaged, opens
from inventory.errors import KeysDoNotOpen, ShortPick
from inventory.models import CardKey, CardKeyStatus, Stock, VoidBecause
from inventory.withdrawing import leave_stock

logger = structlog.get_logger(__name__)

MOST_PASSED_OVER = 20  # keys that do not open; more than that is no accident of a row
PICK = f"""
    WITH picked AS MATERIALIZED (
        SELECT id FROM inventory_cardkey
        WHERE variant_id = %(variant)s AND status = 'available' AND NOT is_reusable
          AND (expires_on IS NULL OR expires_on >= %(today)s)
        ORDER BY expires_on, id LIMIT %(quantity)s FOR UPDATE {{skip_locked}}
    )
    UPDATE inventory_cardkey AS card_key SET status = 'sold'
    FROM picked WHERE card_key.id = picked.id
    RETURNING {columns(CardKey, "card_key")}"""  # noqa: S608  columns of ours


def pick_keys(*, variant_id: int, quantity: int, now: datetime) -> list[int]:
    """Mark `quantity` free keys sold; returns their ids, those that expire first in front.

    Keys locked by other deliveries are skipped, so a pick can fall short although the counter
    promised enough: then ShortPick is raised and the caller's transaction must roll back. The same where
    one of them does not open.
    """
    keys = _pick(variant_id, quantity, now, skip_locked="SKIP LOCKED")
    if len(keys) < quantity:
        raise ShortPick(f"variant {variant_id}: {quantity} wanted, {len(keys)} picked")
    if not all(opens(key) for key in keys):
        raise ShortPick(f"variant {variant_id}: a key does not open")
    return [key.pk for key in keys]


def pick_with_care(*, stock: Stock, quantity: int, now: datetime) -> tuple[list[int], int]:
    """The same under the locks of the variant's Stocks: nothing is skipped, so a shortage seen now is real
    (ShortPick). `stock` is the public one.

    Keys that do not open are passed over. Where others of their batch do, the row is damaged and the key
    becomes void; else the encryption key is at fault, and they stay what they are. Returns the ids, and
    how many keys were found damaged. Raises KeysDoNotOpen where too few do: nothing may be handed over then.
    """
    good: list[CardKey] = []
    closed: list[CardKey] = []
    while len(good) < quantity and len(closed) <= MOST_PASSED_OVER:
        keys = _pick(stock.variant_id, quantity - len(good), now, skip_locked="")
        if not keys:
            break
        for key in keys:
            (good if opens(key) else closed).append(key)
    if len(good) < quantity:
        missing = f"variant {stock.variant_id}: {quantity} wanted, {len(good)} picked"
        raise KeysDoNotOpen(missing) if closed else ShortPick(missing)
    return [key.pk for key in good], _set_aside(closed, stock, now)


def _pick(variant_id: int, quantity: int, now: datetime, *, skip_locked: str) -> list[CardKey]:
    with connection.cursor() as cursor:
        cursor.execute(
            PICK.format(skip_locked=skip_locked),
            {"variant": variant_id, "quantity": quantity, "today": localdate(now)},
        )
        keys = [instance(CardKey, row) for row in cursor.fetchall()]
    return sorted(keys, key=lambda key: (key.expires_on is None, key.expires_on, key.pk))


def _set_aside(closed: Sequence[CardKey], stock: Stock, now: datetime) -> int:
    """What was picked and did not open is not sold; returns how many of it were damaged."""
    damaged = [key.pk for key in closed if is_damaged(key)]
    rows = CardKey.objects.filter(pk__in=[key.pk for key in closed])
    rows.exclude(pk__in=damaged).update(status=CardKeyStatus.AVAILABLE)
    if damaged:
        rows.filter(pk__in=damaged).update(status=CardKeyStatus.VOID, void_because=VoidBecause.DAMAGED)
        leave_stock(stock, len(damaged), now=now)
        logger.error("damaged keys withdrawn", variant=stock.variant_id, keys=damaged)
    return len(damaged)
