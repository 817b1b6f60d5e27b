"""The record of what staff saw of keys and their buyers."""

from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest

from inventory.models import CardKey, KeyAccess, KeyBatch


@dataclass(frozen=True)
class Viewer:
    """Somebody of the staff, and where they are."""

    name: str
    address: str | None


def viewer_of(request: HttpRequest) -> Viewer:
    return Viewer(request.user.get_username(), request.META["REMOTE_ADDR"] or None)


def note_access(
    viewer: Viewer,
    kind: str,
    *,
    batch: KeyBatch,
    card_key: CardKey | None = None,
    count: int,
    why: str,
    approved_by: str = "",
    now: datetime,
) -> None:
    """To be committed before anything of it is shown."""
    KeyAccess.objects.create(
        shop_id=batch.shop_id,
        kind=kind,
        batch=batch,
        card_key=card_key,
        count=count,
        why=why,
        who=viewer.name,
        approved_by=approved_by,
        address=viewer.address,
        at=now,
    )
