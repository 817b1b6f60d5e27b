"""Importing card keys: pasted or from a file, one secret a line."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from uuid import uuid4

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from cardshop.common.crypto import keyring
from cardshop.common.errors import Invalid
from cardshop.common.locks import lock_rows
from cardshop.traffic.display_cache import forget_on_commit
from inventory.card_keys import BlindIndex, context_of, fingerprints_in_use, locked_blind_index
from inventory.errors import NotByKeys
from inventory.models import CardKey, Fulfilment, KeyBatch, Stock, Variant

MAX_SECRET_BYTES = 2000
_CHUNK = 1000


@dataclass
class ImportReport:
    """What became of the lines. Names line numbers only, never what stood there."""

    imported: int = 0
    duplicate_lines: list[int] = field(default_factory=list)
    refused_lines: list[int] = field(default_factory=list)


@transaction.atomic(durable=True)
def import_keys(
    *, variant: Variant, lines: Iterable[str], imported_by: str, note: str = "", now: datetime
) -> tuple[KeyBatch, ImportReport]:
    """Seal and store one key a line, and open them for sale (or leave that to waves), all or nothing.

    Blank lines are passed over, surrounding white space is dropped. Duplicates, in the input or of
    any key of the shop that is not void, are left out and reported, and so are lines that are too
    long or hold control characters. Raises Invalid when there is nothing at all to import, NotByKeys for
    a variant whose buyers get something else than keys.

    The counter is raised last, so that sales of the variant wait for one short UPDATE only.
    """
    blind_index = locked_blind_index(variant.shop)
    batch = KeyBatch.objects.create(
        shop=variant.shop, variant=variant, note=note, imported_by=imported_by, imported_at=now
    )
    report = ImportReport()
    seen: set[bytes] = set()
    secrets = _secrets(lines, report)
    while chunk := tuple(islice(secrets, _CHUNK)):
        _import_chunk(chunk, batch, blind_index, seen, report)
    if not (report.imported or report.duplicate_lines or report.refused_lines):
        raise Invalid(_("There was not a single key in it."), field="keys")
    KeyBatch.objects.filter(pk=batch.pk).update(
        imported=report.imported,
        duplicates=len(report.duplicate_lines),
        refused=len(report.refused_lines),
    )
    _count_in(variant, report.imported)
    forget_on_commit(variant.shop_id)
    return batch, report


def _secrets(lines: Iterable[str], report: ImportReport) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines, start=1):
        if not (secret := line.strip().removeprefix("\ufeff")):
            continue
        if len(secret.encode()) > MAX_SECRET_BYTES or not secret.replace("\t", " ").isprintable():
            report.refused_lines.append(number)
        else:
            yield number, secret


def _import_chunk(
    chunk: tuple[tuple[int, str], ...],
    batch: KeyBatch,
    blind_index: BlindIndex,
    seen: set[bytes],
    report: ImportReport,
) -> None:
    marked = [(number, secret, blind_index.fingerprint(secret)) for number, secret in chunk]
    known = fingerprints_in_use(batch.shop, [fingerprint for _, _, fingerprint in marked])
    ring, rows = keyring(), []
    for number, secret, fingerprint in marked:
        if fingerprint in known or fingerprint in seen:
            report.duplicate_lines.append(number)
            continue
        seen.add(fingerprint)
        uid = uuid4()
        rows.append(
            CardKey(
                shop_id=batch.shop_id,
                variant_id=batch.variant_id,
                batch=batch,
                uid=uid,
                sealed=ring.seal(secret.encode(), context_of(uid, batch.variant_id)),
                fingerprint=fingerprint,
            )
        )
    CardKey.objects.bulk_create(rows)
    report.imported += len(rows)


def _count_in(variant: Variant, count: int) -> None:
    stock, _created = Stock.objects.get_or_create(
        variant=variant, pool=Stock.PUBLIC, defaults={"shop": variant.shop}
    )
    rows = Stock.objects.filter(pk=stock.pk)
    lock_rows(rows)
    if not Variant.objects.filter(pk=variant.pk, fulfilment=Fulfilment.CARD_KEY).exists():
        raise NotByKeys  # its kind has changed, and cannot change now
    if Variant.objects.filter(pk=variant.pk, sells_in_waves=True).exists():
        rows.update(total=F("total") + count, version=F("version") + 1)
    else:
        rows.update(total=F("total") + count, released=F("released") + count, version=F("version") + 1)
