from argparse import ArgumentParser, ArgumentTypeError
from datetime import datetime

from django.core.management.base import BaseCommand, CommandError
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive

from cardshop.common.clock import db_now
from cardshop.operations.backup import CannotBackUp
from cardshop.operations.backup.restoring import forget_redis, go_on_from


class Command(BaseCommand):
    help = (
        "For a database restored by other means (point in time recovery), while the shop is stopped: "
        "forget what Redis knows of a later time, close the shops, plan to read statements since MOMENT."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("moment", type=_moment, help="that it is of, such as 2026-03-01T04:15:00+08:00")
        parser.add_argument(
            "--nothing-since", action="store_true", help="nothing was sold after it: leave shops open"
        )

    def handle(self, *args: object, moment: datetime, nothing_since: bool, **options: object) -> None:
        try:
            forget_redis()
        except CannotBackUp as error:
            raise CommandError(str(error)) from None
        go_on_from(moment, now=db_now(), close_shops=not nothing_since)


def _moment(text: str) -> datetime:
    moment = parse_datetime(text)
    if moment is None or is_naive(moment):
        raise ArgumentTypeError(f"{text} is no moment with a time zone")
    return moment
