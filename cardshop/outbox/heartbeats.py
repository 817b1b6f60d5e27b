"""When each part of the shop that nobody can call last showed that it works."""

from datetime import datetime

from django.db import connection

from cardshop.outbox.models import Heartbeat

BEAT = """
    INSERT INTO outbox_heartbeat (name, seen_at) VALUES (%(name)s, %(now)s)
    ON CONFLICT (name) DO UPDATE SET seen_at = greatest(outbox_heartbeat.seen_at, excluded.seen_at)"""


def show_life(name: str, *, now: datetime) -> None:
    """Note that `name` works at this moment. It never goes back, whoever is late."""
    with connection.cursor() as cursor:
        cursor.execute(BEAT, {"name": name, "now": now})


def last_seen() -> dict[str, datetime]:
    """By name; who never showed any life is not in it."""
    return dict(Heartbeat.objects.values_list("name", "seen_at"))
