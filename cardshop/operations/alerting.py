"""What operations adds to what alerts look at: how old the last backup is, where backups are made."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings

from cardshop.alerts.looking import LOOKS, Seen
from cardshop.alerts.models import Kind
from cardshop.operations.backup import moments_of_backups

TOO_OLD = timedelta(hours=30)  # a night was left out


def backup_that_is_old(now: datetime) -> Iterator[Seen]:
    """Before the first one there is nothing to be old: `doctor` says so."""
    made = moments_of_backups(Path(settings.BACKUP_ROOT)) if settings.BACKUP_ROOT else []
    if made and now - made[-1] > TOO_OLD:
        hours = int((now - made[-1]).total_seconds() // 3600)
        yield Seen(Kind.BACKUP, None, "backup", {"hours": hours})


LOOKS[backup_that_is_old] = {Kind.BACKUP}
