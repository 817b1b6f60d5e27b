"""Giving a message that has given up another try."""

import pytest

from cardshop.common.clock import db_now
from cardshop.outbox.models import OutboxMessage
from cardshop.outbox.services import MAX_ATTEMPTS
from tests.factories import make_shop
from tests.staff import logged_in, make_boss, make_clerk

pytestmark = pytest.mark.django_db

LIST = "/admin/outbox/outboxmessage/"


def make_message(**fields):
    defaults = {"task": "orders.deliver", "subject_id": 1, "due_at": "2099-01-01T00:00Z"}
    return OutboxMessage.objects.create(
        shop_id=make_shop(f"s{OutboxMessage.objects.count()}").pk,
        created_at=db_now(),
        **{**defaults, **fields},
    )


def try_again(client, *messages):
    return client.post(
        LIST, {"action": "try_again", "_selected_action": [m.pk for m in messages]}, follow=True
    )


def test_try_again_makes_it_due_with_a_whole_new_series_of_attempts():
    tired = make_message(attention="GatewayError after 20 attempts", attempts=MAX_ATTEMPTS)
    done = make_message(done_at="2026-01-01T00:00Z")
    page = try_again(logged_in(make_boss()), tired, done).content.decode()
    tired.refresh_from_db()
    done.refresh_from_db()
    assert "1 message is due again" in page
    assert (tired.attention, tired.attempts) == ("", 0)
    assert tired.due_at <= db_now()
    assert done.due_at > db_now()


def test_looking_is_not_trying_again():
    tired = make_message(attention="no")
    looker = logged_in(make_clerk("outbox.view_outboxmessage"))
    assert looker.get(LIST).status_code == 200
    assert looker.get(f"{LIST}{tired.pk}/change/").status_code == 200
    try_again(looker, tired)
    tired.refresh_from_db()
    assert tired.attention == "no"


@pytest.mark.parametrize(("query", "seen"), [("open=yes", 1), ("open=no", 1), ("attention=yes", 1), ("", 2)])
def test_filters(query, seen):
    make_message(attention="no")
    make_message(done_at="2026-01-01T00:00Z")
    page = logged_in(make_boss()).get(f"{LIST}?{query}").content.decode()
    assert page.count('class="action-select') == seen or page.count('name="_selected_action"') == seen
