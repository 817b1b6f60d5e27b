"""The one clock that decides deadlines: the database's."""

import math
import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection

_read: tuple[float, datetime] | None = None


def db_now() -> datetime:
    """The database's wall clock, aware. Read it at the edge of an operation and pass it down.

    It is asked once in DB_CLOCK_SECONDS; in between, this machine's steady clock counts on from there.
    """
    global _read
    now = time.monotonic()
    if _read is None or now - _read[0] >= settings.DB_CLOCK_SECONDS:
        _read = (now, _ask())
    counted_from, moment = _read
    return moment + timedelta(seconds=now - counted_from)


def seconds_until(moment: datetime, now: datetime) -> int:
    """Whole seconds, rounded up; 0 for what is past."""
    return max(0, math.ceil((moment - now).total_seconds()))


def _ask() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
        return moment
