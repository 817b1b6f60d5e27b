"""Who reads events with a cursor misses none, in whatever order transactions commit."""

from collections.abc import Callable
from threading import Event as Moment
from threading import Thread
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction

from cardshop.common.clock import db_now
from resellers.events import feed
from resellers.events.emitting import emit
from resellers.events.feed import events_for
from resellers.models import Event, EventKind, Feed, Reseller
from resellers.tests.calling import make_reseller
from tests.factories import make_shop
from tests.race.racing import linger, race_all

pytestmark = pytest.mark.django_db(transaction=True)


def happen(reseller: Reseller | None, subject: str, kind: str = EventKind.PAID) -> None:
    shop_id = reseller.shop_id if reseller else 1
    emit([Event(shop_id=shop_id, reseller=reseller, kind=kind, subject=subject, at=db_now())], now=db_now())


Look = Callable[[Reseller, int], tuple[list[Event], int]]


def by_position(reseller: Reseller, after: int) -> tuple[list[Event], int]:
    seen = events_for(reseller, after=after, limit=10)
    return seen, seen[-1].position if seen else after


def by_number(reseller: Reseller, after: int) -> tuple[list[Event], int]:
    seen = list(Event.objects.filter(reseller=reseller, pk__gt=after).order_by("pk"))
    return seen, seen[-1].pk if seen else after


def read_while_the_older_commits_last(look: Look) -> list[str]:
    """What a reader saw who looked before and after the older of two transactions had committed."""
    reseller, has_written, may_commit = make_reseller(), Moment(), Moment()

    def write_slowly() -> None:
        try:
            with transaction.atomic():
                happen(reseller, "older")
                has_written.set()
                may_commit.wait(10)
        finally:
            connection.close()

    slow = Thread(target=write_slowly)
    slow.start()
    assert has_written.wait(10)
    happen(reseller, "younger")
    seen, cursor = look(reseller, 0)
    may_commit.set()
    slow.join()
    return [event.subject for event in [*seen, *look(reseller, cursor)[0]]]


def test_a_reader_misses_nothing_of_a_transaction_that_commits_late():
    assert read_while_the_older_commits_last(by_position) == ["younger", "older"]


def test_control_by_number_the_late_one_is_passed_by():
    assert read_while_the_older_commits_last(by_number) == ["younger"]


def two_readers_beside_three_writers() -> list[list[str]]:
    """What each reader has read, until both have seen all of sixty."""
    reseller = make_reseller()

    def write() -> None:
        for _ in range(20):
            happen(reseller, f"{uuid4()}"[:30])

    def read() -> list[str]:
        seen, cursor = [], 0
        while len(seen) < 60:
            events, cursor = by_position(reseller, cursor)
            seen += [event.subject for event in events]
        return seen

    *_written, one, other = race_all(write, write, write, read, read)
    return [one, other]


def test_all_readers_read_the_same_in_the_same_order(monkeypatch):
    linger(monkeypatch, "resellers.events.feed.lock_rows", 0.005)

    one, other = two_readers_beside_three_writers()

    assert one == other
    assert len(set(one)) == 60


def test_control_counting_on_from_what_was_read_before_gives_a_position_twice(monkeypatch):
    """As who holds no lock does, when somebody else has given positions meanwhile."""
    reseller = make_reseller()
    happen(reseller, "first")
    by_position(reseller, 0)
    stale = Feed(pk=Feed.objects.get().pk, position=0)
    monkeypatch.setattr(feed, "lock_rows", lambda _rows: [[stale]])
    happen(reseller, "second")

    with pytest.raises(IntegrityError, match="event_position_once"):
        by_position(reseller, 1)


def test_pages_tell_everything_once_and_any_cursor_can_be_gone_back_to(monkeypatch):
    monkeypatch.setattr(feed, "BATCH", 2)
    reseller = make_reseller()
    for at in range(5):
        happen(reseller, f"{at}")

    cursors, seen = [0], []
    while page := events_for(reseller, after=cursors[-1], limit=2):
        seen += page
        cursors.append(page[-1].position)

    assert [event.subject for event in seen] == list("01234")
    assert events_for(reseller, after=cursors[1], limit=10) == seen[2:]


def test_a_reseller_reads_of_its_own_orders_and_of_the_catalogue_only():
    reseller, other = make_reseller(), make_reseller("Other")
    stranger = make_reseller("Stranger", make_shop("elsewhere"))
    shop = reseller.shop
    for whose, kind in [
        (reseller, EventKind.PAID),
        (other, EventKind.PAID),
        (None, EventKind.PAID),  # a buyer's
        (None, EventKind.STOCK_LOW),
    ]:
        emit([Event(shop=shop, reseller=whose, kind=kind, subject=f"{whose}", at=db_now())], now=db_now())

    read = events_for(reseller, after=0, limit=10)

    assert [(event.subject, event.kind) for event in read] == [
        ("Partner", EventKind.PAID),
        ("None", EventKind.STOCK_LOW),
    ]
    assert events_for(stranger, after=0, limit=10) == []
    assert Event.objects.filter(position=None).count() == 1  # no feed has it
