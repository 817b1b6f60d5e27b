"""Events in an order in which whoever has read up to a point has missed nothing before it.

Numbers are taken when a row is written, rows are seen when their transaction commits: the younger may come
first, and who has read it passes by the older. So events go by the number of their transaction, and given out
are only those of transactions that are older than all that are still open. The two are read by one statement,
from one view of the database: what is below the oldest open transaction then has committed in this view, or
never will.

Numbers of transactions belong to one cluster of PostgreSQL. A cursor names it: one of another cluster, or of
a time that this one has not seen (its last moments were lost), begins anew, since to tell twice is better
than to miss. Programs know an event by its `uid`.
"""

from base64 import b32decode, b32encode
from dataclasses import dataclass
from functools import cache

from django.db import connection
from django.db.models import BigIntegerField, F, Func, Q, QuerySet

from cardshop.common.errors import Invalid
from resellers.models import Event, Reseller
from resellers.models.event import OF_THE_CATALOGUE

_OLDEST_OPEN = Func(
    template="pg_snapshot_xmin(pg_current_snapshot())::text::bigint", output_field=BigIntegerField()
)


@dataclass(frozen=True)
class Cursor:
    """Behind the event with these numbers. As text it is nobody's business what is in it."""

    transaction_id: int = 0
    event_id: int = 0

    def __str__(self) -> str:
        said = f"{_cluster()}.{self.transaction_id}.{self.event_id}".encode()
        return b32encode(said).decode().rstrip("=").lower()


BEGINNING = Cursor()


def read_cursor(text: str) -> Cursor:
    """What `str` of a cursor gave; empty is the beginning. Raises Invalid."""
    if not text:
        return BEGINNING
    try:
        said = b32decode(text.upper() + "=" * (-len(text) % 8)).decode("ascii")
        cluster, transaction_id, event_id = (int(part) for part in said.split("."))
    except ValueError:
        raise Invalid(field="after") from None
    if cluster != _cluster() or transaction_id >= _next_transaction():
        return BEGINNING
    return Cursor(transaction_id, event_id)


def events_for(reseller: Reseller, after: Cursor, limit: int) -> list[Event]:
    """At most `limit`, the oldest first: of the reseller's own orders, and of the shop's catalogue."""
    own = _behind(after, Event.objects.filter(reseller=reseller))
    of_all = Event.objects.filter(shop=reseller.shop_id, reseller=None, kind__in=OF_THE_CATALOGUE)
    both = own[:limit].union(_behind(after, of_all)[:limit], all=True)
    return list(both.order_by("transaction_id", "id")[:limit])


def behind(event: Event) -> Cursor:
    return Cursor(event.transaction_id, event.pk)


def _behind(after: Cursor, events: QuerySet[Event]) -> QuerySet[Event]:
    return (
        events.filter(transaction_id__gte=after.transaction_id, transaction_id__lt=_OLDEST_OPEN)
        .filter(Q(transaction_id__gt=after.transaction_id) | Q(id__gt=after.event_id))
        .order_by(F("transaction_id"), F("id"))
    )


@cache
def _cluster() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT system_identifier FROM pg_control_system()")
        return int(cursor.fetchone()[0])


def _next_transaction() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        return int(cursor.fetchone()[0])
