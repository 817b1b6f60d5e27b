"""The merchant sees why payments go where they go."""

from datetime import UTC, datetime, timedelta

import pytest

from cardshop.common.clock import db_now
from payments.channel_traffic import chart
from payments.routing import router
from payments.routing.showing import Point
from tests.factories import make_attempt, make_channel, make_order, make_variant
from tests.staff import logged_in, make_boss

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]


def page_of(channel):
    return logged_in(make_boss()).get(f"/admin/payments/paymentchannel/{channel.pk}/health/").content.decode()


def test_the_channels_of_a_method_stand_beside_each_other():
    first, second = make_channel(slug="first"), make_channel(slug="second", is_pinned=True)
    make_channel(slug="other", method="wxpay", is_enabled=False)
    now = db_now()
    for number in range(4):
        attempt = make_attempt(make_order(make_variant(keys=1)), first if number else second)
        router.note_sent(attempt, who=f"192.0.2.{number}", now=now - timedelta(seconds=60))
        router.note_paid(attempt, now=now - timedelta(seconds=50))

    page = page_of(first)

    assert "75%" in page
    assert "25%" in page
    assert "(pinned)" in page
    assert "(disabled)" not in page
    assert "<svg" in page


def test_a_channel_that_nobody_has_tried_shows_no_figures():
    page = page_of(make_channel())

    assert "0%" in page
    assert "<svg" not in page


def test_the_chart_draws_what_was_begun_paid_and_failed():
    point = Point(begins=datetime(2026, 3, 1, tzinfo=UTC), sent=8, paid=6, errors=2)

    drawn = chart([point])

    heights = [part.split('"')[0] for part in drawn.split(' height="')[1:]]
    assert heights == ["96.0", "76.8", "57.6"]
