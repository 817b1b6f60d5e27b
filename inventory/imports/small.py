"""A list of keys, imported while the caller waits."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from cardshop.common.errors import Invalid
from inventory.card_keys import locked_blind_index
from inventory.imports.storing import DUPLICATE, Line, store_keys
from inventory.models import KeyBatch, Variant
from inventory.releases import add_to_stock

_AT_ONCE = 1000


@dataclass
class ImportReport:
    """What became of the lines. Names line numbers only, never what stood there."""

    imported: int = 0
    duplicate_lines: list[int] = field(default_factory=list)
    refused_lines: list[int] = field(default_factory=list)


@transaction.atomic(durable=True)
def import_keys(
    *,
    variant: Variant,
    lines: Iterable[str],
    imported_by: str,
    note: str = "",
    expires_on: date | None = None,
    now: datetime,
) -> tuple[KeyBatch, ImportReport]:
    """Seal and store one key a line, and open them for sale (or leave that to waves), all or nothing.

    Blank lines are passed over, surrounding white space is dropped. Duplicates, in the input or of
    any key of the shop that is not void, are left out and reported, and so are lines that are too
    long or hold control characters. Raises Invalid when there is nothing at all to import.

    For as many as can be stored within a request; `imports.running` takes any number.
    """
    blind_index = locked_blind_index(variant.shop)
    batch = KeyBatch.objects.create(
        shop=variant.shop,
        variant=variant,
        note=note,
        expires_on=expires_on,
        imported_by=imported_by,
        imported_at=now,
    )
    report, count = ImportReport(), 0
    for part in _parts(lines):
        count = part[-1][0]
        stored = store_keys(batch, blind_index, part)
        report.imported += stored.imported
        for number, reason in stored.left_out:
            (report.duplicate_lines if reason in DUPLICATE else report.refused_lines).append(number)
    if not (report.imported or report.duplicate_lines or report.refused_lines):
        raise Invalid(_("There was not a single key in it."), field="keys")
    KeyBatch.objects.filter(pk=batch.pk).update(
        lines=count,
        imported=report.imported,
        duplicates=len(report.duplicate_lines),
        refused=len(report.refused_lines),
    )
    add_to_stock(variant, report.imported, now=now)
    return batch, report


def _parts(lines: Iterable[str]) -> Iterator[Sequence[Line]]:
    numbered = iter(enumerate(lines, start=1))
    while part := list(islice(numbered, _AT_ONCE)):
        yield part
