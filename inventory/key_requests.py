"""Asking to see keys, letting it happen, and seeing them: once, for a while, and always noted."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from cardshop.common.crypto import CannotOpen
from cardshop.common.errors import DomainError
from cardshop.outbox.services import promise
from inventory.accesses import Viewer, note_access
from inventory.card_keys import reveal
from inventory.models import (
    AccessKind,
    CardKey,
    CardKeyStatus,
    KeyBatch,
    KeyRequest,
    RequestStatus,
    VoidBecause,
)

logger = structlog.get_logger(__name__)

GOOD_FOR = timedelta(hours=1)
AT_ONCE = 1000  # keys


class OwnKeyRequest(DomainError):
    code = "own_request"
    http_status = 403
    message = _("Somebody else has to approve what you asked for.")


class NotGranted(DomainError):
    code = "not_granted"
    message = _(
        "This cannot be used: it was not granted to you, or has been used, or is more than an hour old."
    )


class StillForSale(DomainError):
    code = "still_for_sale"
    message = _(
        "Keys of this batch are for sale. Take them out of sale first: none may be both sold and exported."
    )


class NothingToExport(DomainError):
    code = "nothing_to_export"
    message = _("This batch has no keys that were taken out of sale unsold.")


def exportable(batch: KeyBatch) -> QuerySet[CardKey]:
    """What left the stock unsold. It never comes back into it, so that no such key can be sold."""
    unsold = [VoidBecause.WITHDRAWN, VoidBecause.EXPIRED]
    return CardKey.objects.filter(batch=batch, status=CardKeyStatus.VOID, void_because__in=unsold)


@transaction.atomic(durable=True)
def ask_to_reveal(card_key: CardKey, *, why: str, actor: str, now: datetime) -> KeyRequest:
    """Granted at once, or left to a second person where the shop wants two."""
    return _ask(AccessKind.REVEALED, card_key.batch, card_key=card_key, why=why, actor=actor, now=now)


@transaction.atomic(durable=True)
def ask_to_export(batch: KeyBatch, *, withdraws: bool, why: str, actor: str, now: datetime) -> KeyRequest:
    """The same for all keys of the batch that were never sold.

    Raises NothingToExport, and StillForSale unless it `withdraws`.
    """
    if batch.origin != KeyBatch.Origin.IMPORTED:
        raise NothingToExport
    if not withdraws and _is_for_sale(batch):
        raise StillForSale
    return _ask(AccessKind.EXPORTED, batch, withdraws=withdraws, why=why, actor=actor, now=now)


def _ask(
    kind: AccessKind,
    batch: KeyBatch,
    *,
    card_key: CardKey | None = None,
    withdraws: bool = False,
    why: str,
    actor: str,
    now: datetime,
) -> KeyRequest:
    needs_two = batch.shop.key_export_needs_two
    request = KeyRequest.objects.create(
        shop_id=batch.shop_id,
        kind=kind,
        batch=batch,
        card_key=card_key,
        withdraws=withdraws,
        why=why,
        status=RequestStatus.AWAITED if needs_two else RequestStatus.GRANTED,
        asked_by=actor,
        asked_at=now,
        decided_at=None if needs_two else now,
    )
    if not needs_two:
        _withdraw(request, now)
    return request


@transaction.atomic(durable=True)
def grant(request: KeyRequest, *, actor: str, now: datetime) -> None:
    """The second person lets it happen. Raises OwnKeyRequest, NotGranted when it was decided already."""
    if actor == request.asked_by:
        raise OwnKeyRequest
    _decide(request, RequestStatus.GRANTED, actor, now)
    _withdraw(request, now)


@transaction.atomic(durable=True)
def decline(request: KeyRequest, *, actor: str, now: datetime) -> None:
    """It does not happen. Whoever asked may take it back, too. Raises NotGranted once it was decided."""
    _decide(request, RequestStatus.DECLINED, "" if actor == request.asked_by else actor, now)


def _decide(request: KeyRequest, to: RequestStatus, actor: str, now: datetime) -> None:
    awaited = KeyRequest.objects.filter(pk=request.pk, status=RequestStatus.AWAITED)
    if not awaited.update(status=to, decided_by=actor, decided_at=now):
        raise NotGranted


def _withdraw(request: KeyRequest, now: datetime) -> None:
    if request.withdraws:
        promise("inventory.void_batch", [request.batch_id], shop_id=request.shop_id, now=now)


def _is_for_sale(batch: KeyBatch) -> bool:
    return CardKey.objects.filter(batch=batch, status=CardKeyStatus.AVAILABLE).exists()


def is_usable(request: KeyRequest, *, actor: str, now: datetime) -> bool:
    """For display; `reveal_requested` and `export_requested` look again."""
    is_fresh = request.decided_at is not None and now - request.decided_at < GOOD_FOR
    return request.status == RequestStatus.GRANTED and request.asked_by == actor and is_fresh


def reveal_requested(request: KeyRequest, card_key: CardKey, viewer: Viewer, *, now: datetime) -> str:
    """The secret in clear; that it was shown has been committed by then. Raises NotGranted, CannotOpen."""
    _use(request, viewer, count=1, now=now)
    return reveal(card_key)


def export_requested(request: KeyRequest, viewer: Viewer, *, now: datetime) -> Iterator[str]:
    """Lines of one key each; that they were exported has been committed before the first.

    Raises NotGranted, StillForSale, NothingToExport before that, and leaves the request as it is. A key that
    does not open is left out, and logged.
    """
    keys = exportable(request.batch)
    if _is_for_sale(request.batch):
        raise StillForSale
    if not (count := keys.count()):
        raise NothingToExport
    _use(request, viewer, count=count, now=now)
    return _lines(keys)


@transaction.atomic(durable=True)
def _use(request: KeyRequest, viewer: Viewer, *, count: int, now: datetime) -> None:
    granted = KeyRequest.objects.filter(
        pk=request.pk, status=RequestStatus.GRANTED, asked_by=viewer.name, decided_at__gt=now - GOOD_FOR
    )
    if not granted.update(status=RequestStatus.USED):
        raise NotGranted
    note_access(
        viewer,
        request.kind,
        batch=request.batch,
        card_key=request.card_key,
        count=count,
        why=request.why,
        approved_by=request.decided_by,
        now=now,
    )


def _lines(keys: QuerySet[CardKey]) -> Iterator[str]:
    last = 0
    while portion := list(keys.filter(pk__gt=last).order_by("pk")[:AT_ONCE]):
        for card_key in portion:
            try:
                yield f"{reveal(card_key)}\r\n"
            except CannotOpen as error:
                logger.error("a key is not in the export", row=card_key.pk, why=str(error))
        last = portion[-1].pk
