"""Routing against a real Redis: what is told, what comes of it, and what is done without."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest

from cardshop.traffic import breakers
from payments.gateways.base import Unreachable
from payments.gateways.guarded import breaker_of
from payments.models import PaymentAttempt, PaymentChannel
from payments.routing import router, state
from payments.routing.estimator import Knobs
from payments.routing.router import note_create_error, note_paid, note_sent, place_of, rank
from payments.routing.showing import snapshot_for_people
from payments.selectors import _channels
from tests.factories import make_channel, the_shop

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def channels():
    """Two of a shop of their own, which need no database."""
    shop_id = secrets.randbelow(2**40)
    return [
        PaymentChannel(pk=shop_id * 10 + n, shop_id=shop_id, slug=f"c{n}", method="alipay", position=n)
        for n in range(2)
    ]


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch):
    monkeypatch.setattr(router, "_known", {})
    monkeypatch.setattr(router, "KNOBS", Knobs(probing=0.0))


def seconds(count):
    return NOON + timedelta(seconds=count)


def an_attempt(channel):
    return PaymentAttempt(channel=channel, out_trade_no=secrets.token_hex(12))


def pay(channel, *, at, paid, times=1, who=""):
    for _ in range(times):
        attempt = an_attempt(channel)
        note_sent(attempt, who=who, now=seconds(at))
        if paid:
            note_paid(attempt, now=seconds(at + 10))


def tallies(channel, at):
    cohorts = state.cohorts_of(place_of(channel), at=seconds(at).timestamp())
    mine = [cohort.tallies[channel.pk] for cohort in cohorts if channel.pk in cohort.tallies]
    return tuple(round(sum(getattr(t, name) for t in mine), 4) for name in ("sent", "paid", "errors"))


def known(channel, at):
    a_second_passes(channel)
    return state.snapshot(place_of(channel), at=seconds(at).timestamp(), knobs=Knobs()).of(channel.pk)


def a_second_passes(channel):
    """By the clock of Redis and of this process: the tests' own moments are made up."""
    state._connect().delete(place_of(channel).key("lease"))
    router._known.clear()


def first(channels, at):
    a_second_passes(channels[0])
    return rank(channels, amount_minor=1000, now=seconds(at))[0]


def test_what_was_sent_and_paid_is_in_the_cohort_in_which_it_was_sent(channels):
    pay(channels[0], at=2, paid=True)
    pay(channels[0], at=7, paid=False, times=2)
    note_create_error(channels[0], now=seconds(8))

    place = place_of(channels[0])
    newest, oldest = state.cohorts_of(place, at=seconds(9).timestamp())

    assert (oldest.begins, newest.begins) == (NOON.timestamp(), NOON.timestamp() + 5)
    assert tallies(channels[0], 9) == (3, 1, 1)
    assert tallies(channels[0], 3600) == (3, 1, 1)  # the coarse ones know the same


def test_paid_twice_counts_once_and_so_does_sent_twice(channels):
    attempt = an_attempt(channels[0])
    for _ in range(3):
        note_sent(attempt, who="a", now=NOON)
    together = Barrier(8)

    def tell(_):
        together.wait()
        note_paid(attempt, now=seconds(10))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(tell, range(8)))

    assert tallies(channels[0], 20) == (1, 1, 0)


def test_money_for_what_was_never_sent_says_nothing(channels):
    note_paid(an_attempt(channels[0]), now=NOON)

    assert tallies(channels[0], 1) == (0, 0, 0)


def test_every_key_expires(channels):
    pay(channels[0], at=0, paid=True)
    pay(channels[0], at=0, paid=False)
    note_create_error(channels[1], now=NOON)
    rank(channels, amount_minor=1000, now=seconds(1))

    client = state._connect()
    keys = list(client.scan_iter(place_of(channels[0]).key("*"), count=1000))

    assert len(keys) >= 7
    assert all(0 < client.ttl(key) <= 5 * 3600 for key in keys)


def test_a_dead_channel_loses_its_traffic_and_gets_it_back(channels):
    good, other = channels
    for at in range(0, 300, 5):
        pay(good, at=at, paid=True, times=4)
        pay(other, at=at, paid=at % 10 == 0)
    assert first(channels, 300) == good

    for at in range(300, 340, 5):
        pay(good, at=at, paid=False, times=4)
        pay(other, at=at, paid=True)
    assert first(channels, 341) == other

    for at in range(340, 400, 5):
        pay(good, at=at, paid=True, times=2)
        pay(other, at=at, paid=at % 10 == 0)
    assert first(channels, 420) == good


def sunk_by_one_buyer(channels, who):
    """0.9 for honest buyers; one who never pays comes four times as often as all of them."""
    good, other = channels
    for number, at in enumerate(range(0, 300, 5)):
        pay(good, at=at, paid=number % 10 > 0, who=f"buyer {at}")
        pay(other, at=at, paid=number % 2 == 0, who=f"buyer {at}")
        pay(good, at=at, paid=False, times=4, who=who)
    return known(good, 320).rate, known(other, 320).rate


def test_one_buyer_who_never_pays_cannot_sink_a_channel(channels):
    good, other = sunk_by_one_buyer(channels, who="192.0.2.1")

    assert good > other + 0.2


def test_control_as_many_buyers_would(channels):
    good, other = sunk_by_one_buyer(channels, who="")

    assert good < other


def test_who_a_buyer_is_does_not_stand_in_redis(channels):
    pay(channels[0], at=0, paid=False, who="192.0.2.77")

    keys = state._connect().scan_iter(place_of(channels[0]).key("*"), count=1000)
    assert not [key for key in keys if b"192.0.2.77" in key]


def test_of_many_who_find_the_snapshot_old_one_makes_the_next(channels, monkeypatch):
    made, together = [], Barrier(8)
    estimate = state.estimate

    def counted(*arguments):
        made.append(1)
        return estimate(*arguments)

    monkeypatch.setattr(state, "estimate", counted)
    pay(channels[0], at=0, paid=True)
    place = place_of(channels[0])

    def come(_):
        together.wait()
        return state.snapshot(place, at=seconds(20).timestamp(), knobs=Knobs())

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(come, range(8)))

    assert len(made) == 1
    assert all(snapshot is not None for snapshot in seen)
    stored = state.snapshot(place, at=seconds(20).timestamp(), knobs=Knobs())
    assert len(made) == 1
    assert stored in seen


def test_a_snapshot_is_read_as_it_was_written(channels):
    pay(channels[0], at=0, paid=True, times=5)
    place = place_of(channels[0])

    made = state.snapshot(place, at=seconds(30).timestamp(), knobs=Knobs())

    assert state.snapshot(place, at=seconds(30.5).timestamp(), knobs=Knobs()) == made
    assert made.of(channels[0].pk).trials > 5


def test_within_a_second_redis_is_not_asked_again(channels, monkeypatch):
    rank(channels, amount_minor=1000, now=NOON)
    monkeypatch.setattr(state, "_connect", lambda: pytest.fail("asked"))

    assert len(rank(channels, amount_minor=1000, now=NOON)) == 2


def test_who_does_not_answer_comes_last(channels):
    for _ in range(5):
        with pytest.raises(Unreachable), breaker_of(f"channel:{channels[0].pk}", "create").around():
            raise Unreachable

    assert first(channels, 0) == channels[1]


def test_nothing_to_choose_from(channels):
    assert rank([], amount_minor=1000, now=NOON) == []
    assert rank(channels[:1], amount_minor=1000, now=NOON) == channels[:1]


@pytest.fixture
def _no_redis(settings, monkeypatch):
    settings.ADMISSION_REDIS_URL = "redis://127.0.0.1:9/0"
    heres = (state._here, breakers._here)
    for here in heres:
        here.__dict__.clear()
    yield
    for here in heres:
        here.__dict__.clear()


@pytest.mark.usefixtures("_no_redis")
def test_without_redis_the_merchants_order_holds_and_nothing_fails(channels):
    pay(channels[0], at=0, paid=True)
    note_create_error(channels[0], now=NOON)

    assert rank(channels[::-1], amount_minor=1000, now=NOON) == channels


@pytest.mark.usefixtures("_no_redis")
def test_without_redis_limits_and_pins_hold_all_the_same(channels):
    channels[0].most_minor = 999
    assert rank(channels, amount_minor=1000, now=NOON) == channels[1:]
    channels[1].is_pinned = True
    assert rank(channels, amount_minor=900, now=NOON) == channels[::-1]


def test_when_redis_goes_the_last_snapshot_is_believed_for_a_minute(channels, settings):
    good, other = channels[1], channels[0]
    for at in range(0, 300, 5):
        pay(good, at=at, paid=True, times=2)
        pay(other, at=at, paid=False)
    assert first(channels, 300) == good
    settings.ADMISSION_REDIS_URL = "redis://127.0.0.1:9/0"
    state._here.__dict__.clear()
    breakers._here.__dict__.clear()

    def a_second_later(at):
        place = place_of(good)
        router._known[place] = (0.0, *router._known[place][1:])
        return rank(channels, amount_minor=1000, now=seconds(at))[0]

    try:
        assert a_second_later(350) == good
        assert a_second_later(361) == other
    finally:
        state._here.__dict__.clear()
        breakers._here.__dict__.clear()


@pytest.mark.django_db
def test_people_see_rates_with_how_sure_they_are_and_where_payments_went():
    _channels.clear()
    good, _, other = (make_channel(slug=slug, position=n) for n, slug in enumerate(("a", "b", "c")))
    card = make_channel(slug="card", method="bank")
    now = seconds(secrets.randbelow(10**8) + 86400 * 365)  # the numbers of channels come again
    at = (now - NOON).total_seconds()
    for second in range(0, 300, 5):
        pay(good, at=at - 320 + second, paid=second % 25 > 0, times=3)
        pay(other, at=at - 320 + second, paid=False)

    seen = snapshot_for_people(the_shop(), now=now)

    by_slug = {one.channel.slug: one for one in seen["alipay"]}
    assert list(by_slug) == ["a", "b", "c"]
    assert seen["bank"][0].channel == card
    assert by_slug["a"].share == pytest.approx(0.75)
    assert by_slug["b"].share == 0
    assert by_slug["a"].low < 0.8 < by_slug["a"].high
    assert by_slug["a"].high - by_slug["a"].low < 0.2 < by_slug["b"].high - by_slug["b"].low
    assert (by_slug["b"].trials, round(by_slug["a"].trials)) == (0, pytest.approx(165, abs=20))
    assert sum(point.sent for point in by_slug["c"].history) == 60
    assert sum(point.paid for point in by_slug["a"].history) == 144
