"""The record of what staff saw of keys and their buyers."""

from datetime import datetime

from django.http import HttpRequest

from inventory.models import AccessKind, CardKey, KeyAccess, KeyBatch


def note_access(
    request: HttpRequest,
    kind: AccessKind,
    *,
    batch: KeyBatch,
    card_key: CardKey | None = None,
    count: int,
    why: str,
    approved_by: str = "",
    now: datetime,
) -> KeyAccess:
    """To be committed before anything of it is shown."""
    return KeyAccess.objects.create(
        shop_id=batch.shop_id,
        kind=kind,
        batch=batch,
        card_key=card_key,
        count=count,
        why=why,
        who=request.user.get_username(),
        approved_by=approved_by,
        address=request.META["REMOTE_ADDR"] or None,
        at=now,
    )
