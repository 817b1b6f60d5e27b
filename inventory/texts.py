"""What a person types for buyers: sealed as keys of a batch of its own, which no import counts."""

from collections.abc import Sequence
from datetime import datetime
from uuid import uuid4

from django.utils.translation import gettext_lazy as _

from cardshop.common.crypto import keyring
from cardshop.common.errors import Invalid
from inventory.card_keys import context_of
from inventory.models import CardKey, CardKeyStatus, KeyBatch, Variant

MOST_BYTES = 2000


def checked_text(text: str) -> str:
    """The text without white space around it, its lines ended by "\\n". Raises Invalid without quoting it."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if not text:
        raise Invalid(_("There is nothing in it."))
    if len(text.encode(errors="replace")) > MOST_BYTES:
        raise Invalid(_("At most %(most)d bytes each, please.") % {"most": MOST_BYTES})
    if not all(line.isprintable() for line in text.replace("\t", " ").split("\n")):
        raise Invalid(_("Plain text only, please: there is a character in it that cannot be shown."))
    return text


def enter_texts(
    variant: Variant,
    texts: Sequence[str],
    *,
    origin: KeyBatch.Origin,
    entered_by: str,
    note: str = "",
    now: datetime,
) -> list[CardKey]:
    """Seal checked texts as a batch of their own; for a buyer they are sold at once.

    In the caller's transaction.
    """
    batch = KeyBatch.objects.create(
        shop_id=variant.shop_id,
        variant=variant,
        origin=origin,
        note=note,
        imported_by=entered_by,
        imported_at=now,
        imported=len(texts),
    )
    is_reusable = origin == KeyBatch.Origin.REUSABLE
    ring, keys = keyring(), []
    for text in texts:
        uid = uuid4()
        keys.append(
            CardKey(
                shop_id=variant.shop_id,
                variant=variant,
                batch=batch,
                uid=uid,
                status=CardKeyStatus.AVAILABLE if is_reusable else CardKeyStatus.SOLD,
                sealed=ring.seal(text.encode(), context_of(uid, variant.pk)),
                is_reusable=is_reusable,
            )
        )
    return CardKey.objects.bulk_create(keys)
