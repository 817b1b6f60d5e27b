"""Waves: part of the stock stays closed until its time, or until somebody presses the button."""

from datetime import timedelta

import pytest
from django.db import transaction

from cardshop.common.clock import db_now
from inventory.releases import release_more
from orders.admission.entering import NEXT_WAVE_SOON
from orders.admission.waves import release_due_waves, release_wave
from orders.errors import FullUntilNextWave, LineFull
from orders.models import Order, Wave
from tests.factories import counters, make_variant, stock_up
from tests.lines import click, keep_house, make_sale, open_line, settle_all, states

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]


@pytest.fixture
def sale():
    """Ten keys, none of them open yet."""
    sale = make_sale(sells_in_waves=True)
    stock_up(sale.variant, 10)
    return sale


def make_wave(sale, quantity: int, *, minutes: float | None = None) -> Wave:
    opens_at = None if minutes is None else db_now() + timedelta(minutes=minutes)
    return Wave.objects.create(sale=sale, quantity=quantity, opens_at=opens_at)


def test_new_keys_stay_closed_where_there_are_waves(sale):
    assert counters(sale.variant) == (10, 0, 0)


def test_new_keys_are_for_sale_at_once_where_there_are_none():
    assert counters(make_variant(keys=3)) == (3, 3, 0)


def test_a_wave_opens_as_many_as_it_says(sale):
    wave = make_wave(sale, 4)

    assert release_wave(wave, now=db_now()) == 4
    assert counters(sale.variant) == (10, 4, 0)
    wave.refresh_from_db()
    assert (wave.released, wave.released_at is not None) == (4, True)


def test_a_wave_opens_no_more_than_there_are_and_says_how_many(sale):
    wave = make_wave(sale, 25)

    assert release_wave(wave, now=db_now()) == 10
    assert counters(sale.variant) == (10, 10, 0)
    wave.refresh_from_db()
    assert wave.released == 10


def test_a_wave_is_released_once(sale):
    wave = make_wave(sale, 4)
    release_wave(wave, now=db_now())

    assert release_wave(wave, now=db_now()) is None
    assert counters(sale.variant) == (10, 4, 0)


def test_what_is_due_is_released_and_nothing_else(sale):
    make_wave(sale, 1, minutes=-2)
    make_wave(sale, 2, minutes=-1)
    make_wave(sale, 4, minutes=5)
    make_wave(sale, 3)

    release_due_waves(sale, now=db_now())

    assert counters(sale.variant) == (10, 3, 0)


def test_unlimited_goods_have_nothing_closed(sale):
    sale.variant.stocks.update(total=None, released=None)

    assert release_wave(make_wave(sale, 4), now=db_now()) == 0
    assert counters(sale.variant) == (None, None, 0)


def test_the_allocator_releases_what_is_due_and_serves_the_line_from_it(sale):
    sale.variant.stocks.update(released=2)
    allocator = open_line(sale)
    tickets = [click(sale.variant) for _ in range(4)]
    settle_all(allocator)
    assert states(sale.variant, tickets) == ["held", "held", "waiting", "waiting"]

    make_wave(sale, 1, minutes=-1)
    keep_house(allocator)

    assert states(sale.variant, tickets) == ["held", "held", "held", "waiting"]
    assert Order.objects.count() == 3


def full_line(sale):
    sale.variant.stocks.update(released=1)
    sale.line_cap = 0
    sale.save()
    allocator = open_line(sale)
    click(sale.variant)
    settle_all(allocator)
    return allocator


def test_a_full_line_tells_when_the_next_wave_comes(sale):
    make_wave(sale, 1)
    make_wave(sale, 1, minutes=1)
    make_wave(sale, 1, minutes=2)
    full_line(sale)

    with pytest.raises(FullUntilNextWave) as refused:
        click(sale.variant)

    assert 50 <= refused.value.retry_after <= 61
    assert (refused.value.code, refused.value.http_status) == (LineFull.code, LineFull.http_status)


def test_who_asks_long_before_the_next_wave_is_told_to_ask_again_before_it(sale):
    make_wave(sale, 1, minutes=60)
    full_line(sale)

    with pytest.raises(FullUntilNextWave) as refused:
        click(sale.variant)

    assert refused.value.retry_after == NEXT_WAVE_SOON


def test_a_full_line_without_a_wave_to_come_says_nothing_of_one(sale):
    make_wave(sale, 1)
    full_line(sale)

    with pytest.raises(LineFull) as refused:
        click(sale.variant)

    assert type(refused.value) is LineFull
    assert refused.value.retry_after is None


def test_a_released_wave_lets_newcomers_in_again(sale):
    wave = make_wave(sale, 2)
    allocator = full_line(sale)

    release_wave(wave, now=db_now())
    keep_house(allocator)

    click(sale.variant)
    settle_all(allocator)
    assert Order.objects.count() == 2


def test_releasing_the_rest_opens_all_there_are(sale):
    with transaction.atomic():
        assert release_more(sale.variant_id) == 10
    assert counters(sale.variant) == (10, 10, 0)
