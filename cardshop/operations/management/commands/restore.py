from argparse import ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from cardshop.operations.backup import CannotBackUp
from cardshop.operations.backup.restoring import restore

NEXT = """
The books are as they were when the backup was made, and the shops are closed. Before you open them:
  manage.py verify --settled      is everything right?
  manage.py doctor                do the keys open, do mails go out?
then start the processes, look at "What needs you", and see docs/backup.md about keys handed over since.
"""
OPEN = "Everything is as it was. Look with manage.py verify --settled, then start the shop."


class Command(BaseCommand):
    help = "Restore the backup in the folder SOURCE into an empty database, while the shop is stopped."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", type=Path, help="a folder that `backup` has written")
        parser.add_argument(
            "--nothing-since",
            action="store_true",
            help="nothing was sold after the backup was made (a move to another machine): leave shops open",
        )
        parser.add_argument(
            "--another-secret-key",
            action="store_true",
            help="go on although SECRET_KEY is not the one of the backup",
        )

    def handle(
        self,
        *args: object,
        source: Path,
        nothing_since: bool,
        another_secret_key: bool,
        **options: object,
    ) -> None:
        try:
            restore(
                source,
                nothing_since=nothing_since,
                another_secret_key=another_secret_key,
                tell=lambda said: self.stderr.write(f"cardshop: {said}", style_func=str),
            )
        except CannotBackUp as error:
            raise CommandError(str(error)) from None
        self.stdout.write(OPEN if nothing_since else NEXT)
