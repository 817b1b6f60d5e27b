from argparse import ArgumentParser
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from cardshop.common.clock import db_now
from cardshop.operations.backup import CannotBackUp
from cardshop.operations.backup.writing import back_up


class Command(BaseCommand):
    help = "Write the database and the pictures into a new folder below TARGET, while the shop goes on."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "target",
            nargs="?",
            type=Path,
            default=settings.BACKUP_ROOT or None,
            help="default: BACKUP_ROOT",
        )
        parser.add_argument("--keep", type=int, help="remove all but so many of the newest backups there")

    def handle(self, *args: object, target: Path | None, keep: int | None, **options: object) -> None:
        if not target:
            raise CommandError("Say where to: manage.py backup TARGET, or set BACKUP_ROOT.")
        if keep is not None and keep < 1:
            raise CommandError("--keep wants a number from 1 on.")
        try:
            folder = back_up(target, now=db_now(), keep=keep)
        except CannotBackUp as error:
            raise CommandError(str(error)) from None
        self.stdout.write(str(folder))
        self.stderr.write("CARD_KEY_KEK and SECRET_KEY are not in it: keep them elsewhere.", style_func=str)
