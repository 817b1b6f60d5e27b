"""`manage.py import_keys VARIANT FILE`: the importer for scripts."""

import sys
import time
from argparse import ArgumentParser, FileType
from datetime import date
from typing import BinaryIO

from django.core.management.base import BaseCommand, CommandError
from django.utils.timezone import localdate

from cardshop.common.clock import db_now
from cardshop.outbox.services import drain
from inventory.imports.reading import NoSuchColumn
from inventory.imports.running import IN_PROGRESS, TASK, Terms, accept, import_batches
from inventory.imports.spool import Blank, NotText, SpoolWriter, discard
from inventory.models import BatchState, ImportFailure, KeyBatch, KeyUpload, Layout, Variant
from inventory.tasks import LEASE

_PIECE = 64 * 1024
_NAMED = 100


class Command(BaseCommand):
    help = "Import card keys, one a line or from a CSV, from a file or from standard input (-)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("variant", help="the variant's code")
        parser.add_argument("file", type=FileType("rb"), help="- for standard input")
        parser.add_argument("--shop", default="", help="the shop's short name, if there are several")
        parser.add_argument("--csv", action="store_true", help="a CSV whose first row has headings")
        parser.add_argument("--bare-csv", action="store_true", help="a CSV without headings")
        parser.add_argument("--column", default="", help="the heading above the keys; else the first column")
        parser.add_argument("--expires", type=date.fromisoformat, help="the last good day, as 2027-12-31")
        parser.add_argument("--note", default="")

    def handle(
        self,
        *args: object,
        variant: str,
        file: BinaryIO,
        shop: str,
        csv: bool,
        bare_csv: bool,
        column: str,
        expires: date | None,
        note: str,
        **options: object,
    ) -> None:
        if expires and expires < localdate():
            raise CommandError("--expires names a day that is over: nobody could be given these keys.")
        terms = Terms(
            variant=_variant(variant, shop),
            imported_by="import_keys",
            layout=Layout.CSV if csv or column else Layout.BARE_CSV if bare_csv else Layout.LINES,
            heading=column,
            note=note,
            expires_on=expires,
        )
        batch = self._finished(_accepted(_spooled(file), terms))
        if batch.state != BatchState.DONE:
            raise CommandError(ImportFailure(batch.failure).label if batch.failure else batch.state)
        self.stdout.write(
            f"{batch.imported} imported, {batch.duplicates} duplicates, {batch.refused} refused"
        )
        for left_out in batch.left_out_lines.order_by("line")[:_NAMED]:
            print(f"line {left_out.line}: {left_out.reason}", file=sys.stderr)

    def _finished(self, batch: KeyBatch) -> KeyBatch:
        """Does what a worker would do, unless one is quicker; killed, it leaves the rest to a worker."""
        told_at = time.monotonic()
        while batch.state in IN_PROGRESS:
            if not drain(TASK, import_batches, clock=db_now, batch=1, lease=LEASE):
                time.sleep(0.2)
            batch.refresh_from_db()
            if time.monotonic() - told_at > 2:
                told_at = time.monotonic()
                self.stdout.write(f"{batch.lines} lines read, {batch.imported} imported")
        return batch


def _variant(code: str, shop: str) -> Variant:
    chosen = Variant.objects.select_related("shop").filter(code=code)
    if shop:
        chosen = chosen.filter(shop__slug=shop)
    if chosen.count() != 1:
        raise CommandError(f"{chosen.count()} variants have the code {code!r}: name the --shop")
    return chosen.get()


def _spooled(file: BinaryIO) -> KeyUpload:
    writer = SpoolWriter(now=db_now())
    while piece := file.read(_PIECE):
        writer.write(piece)
    try:
        return writer.close()
    except Blank:
        raise CommandError(ImportFailure.EMPTY.label) from None
    except NotText:
        raise CommandError("This is not a text file in UTF-8 or GB18030.") from None


def _accepted(upload: KeyUpload, terms: Terms) -> KeyBatch:
    try:
        return accept(upload, terms, now=db_now())
    except NoSuchColumn:
        discard(upload)
        raise CommandError(ImportFailure.NO_COLUMN.label) from None
