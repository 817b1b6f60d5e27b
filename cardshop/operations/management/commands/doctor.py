"""`manage.py doctor`: what is wrong here, and what to do about it."""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from functools import partial
from json import dumps

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import translation
from django.utils.translation import gettext as _

from cardshop.operations.doctor import broker, configuration, database, files, outside, processes, work
from cardshop.operations.doctor import redis_servers as redis
from cardshop.operations.doctor.findings import DATABASE, Finding, Level, Look, examine, worst

LOOKS = [
    Look("settings", configuration.look_at_settings),
    Look("secret-key", configuration.look_at_secret_key),
    Look("proxies", configuration.look_at_proxies),
    Look(DATABASE, database.look_at_database),
    Look("database-server", database.look_at_server, needs_rows=True),
    Look("connections", database.look_at_connections, needs_rows=True),
    Look("transactions", database.look_at_transactions, needs_rows=True),
    Look("replication", database.look_at_replication, needs_rows=True),
    Look("clocks", database.look_at_clocks, needs_rows=True),
    Look("key-encryption", configuration.look_at_key_encryption, needs_rows=True, patience=60),
    Look("hosts", configuration.look_at_hosts, needs_rows=True),
    Look("redis", redis.look_at_cache),
    Look("line-redis", redis.look_at_admission, needs_rows=True),
    Look("broker", broker.look_at_broker),
    Look("web", processes.look_at_web),
    Look("workers", processes.look_at_workers, needs_rows=True),
    Look("allocators", processes.look_at_allocators, needs_rows=True),
    Look("gateway", processes.look_at_gateway, patience=15),
    Look("open-files", processes.look_at_open_files),
    Look("outbox", work.look_at_outbox, needs_rows=True),
    Look("attention", work.look_at_attention, needs_rows=True),
    Look("channels", work.look_at_channels, needs_rows=True),
    Look("static-files", files.look_at_static_files),
    Look("pictures", files.look_at_pictures),
    Look("disks", files.look_at_disks, needs_rows=True),
    Look("counts", files.look_at_counts),
    Look("backups", files.look_at_backups, needs_rows=True),
    Look("outside", outside.look_from_outside, needs_rows=True, patience=20),
]
BOOKS = Look("books", work.look_at_books, needs_rows=True, patience=900)


class Command(BaseCommand):
    help = "Say what is wrong with this installation and what to do about it; exits 0, 1 (warnings) or 2."
    requires_system_checks = ()  # they are one of the things looked at

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument("--language", choices=[code for code, _name in settings.LANGUAGES])
        parser.add_argument("--send-to", default="", metavar="ADDRESS", help="send a test mail there")
        parser.add_argument("--books", action="store_true", help="also run `verify`, which takes its time")

    def handle(
        self, *args: object, json: bool, language: str | None, send_to: str, books: bool, **options: object
    ) -> None:
        language = language or language_of_terminal()
        looks = [*LOOKS, Look("mail", partial(outside.look_at_mail, send_to), patience=20)]
        if books:
            looks.append(BOOKS)
        said: dict[str, list[Finding]] = {}
        with translation.override(language):
            for name, findings in examine(looks, language=language):
                said[name] = findings
                if not json:
                    self._print(name, findings)
            level = worst(finding for findings in said.values() for finding in findings)
            self.stdout.write(_as_json(level, said) if json else _summary(level, said))
        sys.exit(level)

    def _print(self, name: str, findings: list[Finding]) -> None:
        styles: dict[Level, Callable[[str], str]] = {
            Level.OK: str,
            Level.WARNING: self.style.WARNING,
            Level.PROBLEM: self.style.ERROR,
        }
        words = {Level.OK: _("fine"), Level.WARNING: _("look"), Level.PROBLEM: _("WRONG")}
        for finding in findings:
            self.stdout.write(styles[finding.level](f"{words[finding.level]}\t{name}: {finding.said}"))
            if finding.remedy:
                self.stdout.write(f"\t→ {finding.remedy}")


def language_of_terminal() -> str:
    """As gettext chooses it; English where nothing is said."""
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    locale = next((os.environ[name] for name in names if os.environ.get(name)), "")
    return "zh-hans" if locale.lower().startswith("zh") else "en"


def _as_json(level: Level, said: dict[str, list[Finding]]) -> str:
    return dumps(
        {
            "level": level.name.lower(),
            "checks": [
                {
                    "name": name,
                    "level": finding.level.name.lower(),
                    "said": finding.said,
                    "remedy": finding.remedy,
                }
                for name, findings in said.items()
                for finding in findings
            ],
        },
        ensure_ascii=False,
    )


def _summary(level: Level, said: dict[str, list[Finding]]) -> str:
    levels = [finding.level for findings in said.values() for finding in findings]
    if level == Level.OK:
        return _("All is well: %(count)d checks.") % {"count": len(said)}
    return _("%(problems)d to mend, %(warnings)d to look at.") % {
        "problems": levels.count(Level.PROBLEM),
        "warnings": levels.count(Level.WARNING),
    }
