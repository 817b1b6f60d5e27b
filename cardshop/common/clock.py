"""The one clock that decides deadlines: the database's."""

from datetime import datetime

from django.db import connection


def db_now() -> datetime:
    """The database's wall clock, aware. Read it at the edge of an operation and pass it down."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
        return moment
