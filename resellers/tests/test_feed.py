"""Who reads events with a cursor misses none, in whatever order transactions commit."""

from collections.abc import Callable
from threading import Event as Moment
from threading import Thread

import pytest
from django.db import connection, transaction

from cardshop.common.clock import db_now
from cardshop.common.errors import Invalid
from resellers.events import feed
from resellers.events.emitting import emit
from resellers.events.feed import BEGINNING, Cursor, behind, events_for, read_cursor
from resellers.models import Event, EventKind, Reseller
from resellers.tests.calling import make_reseller
from tests.factories import make_shop

pytestmark = pytest.mark.django_db(transaction=True)


def happen(reseller: Reseller | None, subject: str, kind: str = EventKind.PAID) -> None:
    shop_id = reseller.shop_id if reseller else 1
    emit([Event(shop_id=shop_id, reseller=reseller, kind=kind, subject=subject, at=db_now())], now=db_now())


def read_while_the_older_commits_last(look: Callable[[Reseller, Cursor], list[Event]]) -> list[str]:
    """What a reader saw who read before and after the older of two transactions had committed."""
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
    seen = look(reseller, BEGINNING)
    may_commit.set()
    slow.join()
    seen += look(reseller, behind(seen[-1]) if seen else BEGINNING)
    return [event.subject for event in seen]


def test_a_reader_misses_nothing_of_a_transaction_that_commits_late():
    def by_transaction(reseller: Reseller, after: Cursor) -> list[Event]:
        return events_for(reseller, after, 10)

    assert read_while_the_older_commits_last(by_transaction) == ["older", "younger"]


def test_control_by_number_alone_the_late_one_is_passed_by():
    def by_number(reseller: Reseller, after: Cursor) -> list[Event]:
        return list(Event.objects.filter(reseller=reseller, pk__gt=after.event_id).order_by("pk"))

    assert read_while_the_older_commits_last(by_number) == ["younger"]


def test_pages_tell_everything_once_and_any_cursor_can_be_gone_back_to():
    reseller = make_reseller()
    with transaction.atomic():
        for at in range(3):
            happen(reseller, f"together {at}")
    for at in range(3):
        happen(reseller, f"apart {at}")

    cursors, seen = [BEGINNING], []
    while page := events_for(reseller, cursors[-1], 2):
        seen += page
        cursors.append(read_cursor(str(behind(page[-1]))))

    assert [event.subject for event in seen] == [
        f"{how} {at}" for how in ("together", "apart") for at in range(3)
    ]
    assert events_for(reseller, cursors[1], 10) == seen[2:]


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

    read = events_for(reseller, BEGINNING, 10)

    assert [(event.subject, event.kind) for event in read] == [
        ("Partner", EventKind.PAID),
        ("None", EventKind.STOCK_LOW),
    ]
    assert events_for(stranger, BEGINNING, 10) == []


def test_a_cursor_of_another_cluster_or_of_a_time_to_come_begins_anew(monkeypatch):
    """As after a backup was restored elsewhere, where transactions have other numbers."""
    there = str(Cursor(5, 5))
    ahead = str(Cursor(feed._next_transaction(), 1))
    assert read_cursor(there) == Cursor(5, 5)
    assert read_cursor(ahead) == BEGINNING
    monkeypatch.setattr(feed, "_cluster", lambda: 1)
    assert read_cursor(there) == BEGINNING


@pytest.mark.parametrize("text", ["x", "1", "\0", "ß", "nbuq", "a" * 500])
def test_what_is_no_cursor_is_refused(text):
    with pytest.raises(Invalid):
        read_cursor(text)
