"""`manage.py rotate_keys`: everything under the first key of CARD_KEY_KEK, while the shop sells."""

import os
import time
from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from cardshop.common.crypto import keyring
from cardshop.common.sealed import SealedColumn
from cardshop.operations.rotation import Rotated, rotate
from cardshop.operations.sealed_values import COLUMNS, counts_by_key

SHOWN = 20
EVERY = 2.0  # seconds
# Whoever buys comes first: it steps back for every other process, and rests for so many times what a portion
# took, which PostgreSQL worked on as well.
NICENESS = 10
RESTS = 2.0


class Command(BaseCommand):
    help = (
        "Wrap every data key anew under the first key of CARD_KEY_KEK. Safe while the shop sells, and may be"
        " broken off and begun again. Exit code 1 if something stays under another key. See docs/keys.md."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="only say how much stands under which key")

    def run_from_argv(self, argv: list[str]) -> None:
        """From the command line, where the process is its own."""
        os.nice(NICENESS)
        super().run_from_argv(argv)

    def handle(self, *args: object, check: bool, **options: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")  # a large shop takes its time
        unopened = 0 if check else sum(self._rotate(column) for column in COLUMNS)
        left = self._count()
        if unopened:
            raise CommandError(f"{unopened} values do not open and were left as they are")
        if left:
            raise CommandError(f"{left} values stand under other keys than the active one")

    def _rotate(self, column: SealedColumn) -> int:
        told = began = time.monotonic()

        def tell(so_far: Rotated) -> None:
            nonlocal told, began
            if time.monotonic() - told >= EVERY:
                told = time.monotonic()
                self.stdout.write(f"{column.name}: {so_far.rewrapped} rewrapped so far")
            time.sleep(RESTS * (time.monotonic() - began))
            began = time.monotonic()

        done = rotate(column, keyring(), tell=tell)
        self.stdout.write(f"{column.name}: {done.rewrapped} rewrapped")
        for pk, why in list(done.unopened.items())[:SHOWN]:
            self.stderr.write(f"{column.name}: row {pk} does not open: {why}")
        if (more := len(done.unopened) - SHOWN) > 0:
            self.stderr.write(f"{column.name}: and {more} more")
        return len(done.unopened)

    def _count(self) -> int:
        """Says how much stands under which key; returns how much under another than the active one."""
        ring, under = keyring(), dict.fromkeys(keyring().keys, 0)
        for column in COLUMNS:
            for key_id, count in sorted(counts_by_key(column).items()):
                under[key_id] = under.get(key_id, 0) + count
                self.stdout.write(f"{column.name}: {count} under {self._named(key_id)}")
        for key_id in ring.keys:
            if key_id != ring.active and not under[key_id]:
                self.stdout.write(f"nothing is left under {key_id!r}: it may be taken out of CARD_KEY_KEK")
        return sum(under.values()) - under[ring.active]

    def _named(self, key_id: str) -> str:
        ring = keyring()
        if not key_id:
            return "no key: these are no sealed values"
        if key_id not in ring.keys:
            return f"{key_id!r}, which CARD_KEY_KEK does not hold"
        return f"{key_id!r}" + (" (active)" if key_id == ring.active else "")
