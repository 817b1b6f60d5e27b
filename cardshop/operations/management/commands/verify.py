"""`manage.py verify`: is everything true that must always be true?"""

from argparse import ArgumentParser
from json import dumps

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from cardshop.operations.verify import Result, verify

SHOWN = 20


class Command(BaseCommand):
    help = "Check the invariants on the live database and against the providers' ledgers."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument(
            "--settled", action="store_true", help="nothing is under way: allow no grace of 60 s"
        )

    def handle(self, *args: object, json: bool, settled: bool, **options: object) -> None:
        try:
            results = verify(settled=settled)
        except OperationalError as error:
            raise CommandError(f"the database does not answer (is the shop running?): {error}") from None
        broken = [result for result in results if result.findings]
        if json:
            self.stdout.write(dumps({result.name: result.findings for result in results}))
        else:
            for result in results:
                self._print(result)
        if broken:
            raise CommandError(f"{len(broken)} of {len(results)} checks failed")
        if not json:
            self.stdout.write(f"all {len(results)} checks hold")

    def _print(self, result: Result) -> None:
        self.stdout.write(f"{'BROKEN' if result.findings else 'ok':<7}{result.name}")
        for finding in result.findings[:SHOWN]:
            self.stdout.write(f"       {finding}")
        if (more := len(result.findings) - SHOWN) > 0:
            self.stdout.write(f"       and {more} more")
