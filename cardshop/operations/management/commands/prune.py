from argparse import ArgumentParser
from math import inf

from django.conf import settings
from django.core.management.base import BaseCommand

from cardshop.common.clock import db_now
from cardshop.operations.retention import due, prune


class Command(BaseCommand):
    help = "Forget what is older than the RETAIN_…_DAYS of the settings, as the workers do every hour."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say how much that would be")

    def handle(self, *args: object, dry_run: bool, **options: object) -> None:
        now = db_now()
        forgotten = {} if dry_run else prune(now, run=inf)
        for each in due(now):
            name = each.retention.name
            count = each.rows.count() if dry_run else forgotten.get(name, 0)
            self.stdout.write(f"{count:>8}  {name} ({getattr(settings, each.retention.setting)} days)")
