"""Backups: one folder each, with the database, the pictures, and what has to fit when they are restored.

Not in them: CARD_KEY_KEK and SECRET_KEY, which have to be kept somewhere else; and Redis and the broker,
which hold nothing that PostgreSQL could not give back: docs/backup.md.
"""

from datetime import UTC, datetime
from pathlib import Path

DATABASE, PICTURES, MANIFEST = "database.dump", "media.tar", "manifest.json"
_NAME = "cardshop-%Y%m%dT%H%M%SZ"


class CannotBackUp(Exception):
    """The message tells the reader what to do."""


def name_of(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime(_NAME)


def backups_in(root: Path) -> list[tuple[datetime, Path]]:
    """Those that are complete, oldest first."""
    found = []
    for folder in root.glob("cardshop-*"):
        try:
            moment = datetime.strptime(folder.name, _NAME).replace(tzinfo=UTC)
        except ValueError:
            continue
        if (folder / MANIFEST).exists():
            found.append((moment, folder))
    return sorted(found)


def moments_of_backups(root: Path) -> list[datetime]:
    return [moment for moment, _folder in backups_in(root)]
