"""`manage.py import_keys VARIANT FILE`: the importer for scripts."""

import sys
from argparse import ArgumentParser, FileType
from typing import TextIO

from django.core.management.base import BaseCommand, CommandError

from cardshop.common.clock import db_now
from inventory.imports import import_keys
from inventory.models import Variant


class Command(BaseCommand):
    help = "Import card keys, one a line, from a file or from standard input (-)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("variant", help="the variant's code")
        parser.add_argument("file", type=FileType(encoding="utf-8-sig"), help="- for standard input")
        parser.add_argument("--shop", default="", help="the shop's short name, if there are several")
        parser.add_argument("--note", default="")

    def handle(
        self, *args: object, variant: str, file: TextIO, shop: str, note: str, **options: object
    ) -> None:
        chosen = Variant.objects.select_related("shop").filter(code=variant)
        if shop:
            chosen = chosen.filter(shop__slug=shop)
        if chosen.count() != 1:
            raise CommandError(f"{chosen.count()} variants have the code {variant!r}: name the --shop")
        _batch, report = import_keys(
            variant=chosen.get(), lines=file, imported_by="import_keys", note=note, now=db_now()
        )
        self.stdout.write(
            f"{report.imported} imported, {len(report.duplicate_lines)} duplicates, "
            f"{len(report.refused_lines)} refused"
        )
        for what, lines in (("duplicate", report.duplicate_lines), ("refused", report.refused_lines)):
            for line in lines[:100]:
                print(f"line {line}: {what}", file=sys.stderr)
