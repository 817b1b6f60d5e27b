"""manage.py messages: bring the translations in step with the code, or say what they lack."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from cardshop.operations.catalogues import (
    REPOSITORY,
    catalogue_paths,
    complaints,
    extract_messages,
    read_catalogue,
    update,
    write_catalogue,
)


class Command(BaseCommand):
    help = "Updates locale/*/LC_MESSAGES/django.po from the code and the templates."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--check",
            action="store_true",
            help="change nothing; fail and name what is untranslated, obsolete or fuzzy",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = extract_messages()
        missing = 0
        for path in catalogue_paths():
            catalogue = read_catalogue(path)
            if not options["check"]:
                update(catalogue, wanted)
                write_catalogue(path, catalogue)
            lines = complaints(catalogue, wanted)
            missing += len(lines)
            for line in lines:
                self.stdout.write(f"{path.relative_to(REPOSITORY)}: {line}")
        if missing and options["check"]:
            raise CommandError(f"{missing} strings to see to; `manage.py messages` adds what is new")
        self.stdout.write(f"{len(wanted)} strings, {missing} to see to")
