"""Events in an order in which whoever has read up to a point has missed nothing before it.

Numbers are taken when a row is written, rows are seen when their transaction commits: the younger may come
first, and who has read it would pass by the older. So an event gets its place in the feed only when it can be
seen. Positions are given out under the lock of the shop's Feed: whoever sees one sees all before it, and what
commits later comes later.
"""

from django.db import connection, transaction
from django.db.models import QuerySet

from cardshop.common.locks import lock_rows
from resellers.models import Event, Feed, Reseller
from resellers.models.event import IN_FEEDS, OF_THE_CATALOGUE

BATCH = 1000  # rows that one transaction puts in order

GIVE_POSITIONS = """
    WITH visible AS MATERIALIZED (
        SELECT id FROM resellers_event
        WHERE shop_id = %(shop)s AND position IS NULL AND (reseller_id IS NOT NULL OR kind = ANY(%(kinds)s))
        ORDER BY id LIMIT %(batch)s
    ), in_order AS MATERIALIZED (
        SELECT id, row_number() OVER (ORDER BY id) AS place FROM visible
    )
    UPDATE resellers_event AS event SET position = %(last)s + place
    FROM in_order WHERE event.id = in_order.id"""


def events_for(reseller: Reseller, *, after: int, limit: int) -> list[Event]:
    """At most `limit`, the oldest first: of the reseller's own orders, and of the shop's catalogue."""
    put_in_order(reseller.shop_id)
    own = Event.objects.filter(reseller=reseller)
    of_all = Event.objects.filter(shop=reseller.shop_id, reseller=None, kind__in=OF_THE_CATALOGUE)
    both = _behind(after, own)[:limit].union(_behind(after, of_all)[:limit], all=True)
    return list(both.order_by("position")[:limit])


def put_in_order(shop_id: int) -> None:
    """Give a position to all that has committed and has none yet."""
    while Event.objects.filter(IN_FEEDS, shop=shop_id, position=None).exists():
        _put_some_in_order(shop_id)


@transaction.atomic(durable=True)
def _put_some_in_order(shop_id: int) -> None:
    Feed.objects.bulk_create([Feed(shop_id=shop_id)], ignore_conflicts=True)
    ((feed,),) = lock_rows(Feed.objects.filter(shop=shop_id))
    with connection.cursor() as cursor:
        cursor.execute(
            GIVE_POSITIONS,
            {"shop": shop_id, "kinds": list(OF_THE_CATALOGUE), "last": feed.position, "batch": BATCH},
        )
        given = cursor.rowcount
    Feed.objects.filter(pk=feed.pk).update(position=feed.position + given)


def _behind(after: int, events: QuerySet[Event]) -> QuerySet[Event]:
    return events.filter(position__gt=after).order_by("position")
