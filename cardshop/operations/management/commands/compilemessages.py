"""`manage.py compilemessages`, with Babel: a fresh machine has no gettext."""

from django.core.management.base import BaseCommand

from cardshop.operations.translations import compile_translations


class Command(BaseCommand):
    help = "Compile the translations (needs no gettext)."
    requires_system_checks = ()

    def handle(self, *args: object, **options: object) -> None:
        self.stdout.write(f"{compile_translations()} compiled")
