"""While the database is migrated its statements take their time: an index over a million rows takes longer
than a request may. Waiting for a lock is bounded as ever, so that nobody who sells waits behind a migration.
"""

from typing import Any

from django.db import connections


def take_your_time(*, using: str, **_: Any) -> None:
    with connections[using].cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")


def hurry_again(*, using: str, **_: Any) -> None:
    with connections[using].cursor() as cursor:
        cursor.execute("RESET statement_timeout")
