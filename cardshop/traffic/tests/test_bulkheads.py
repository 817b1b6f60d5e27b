"""Who may call a partner, and how many at a time."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Event

import pytest
from celery.signals import worker_init

from cardshop.traffic import bulkheads
from cardshop.traffic.breakers import BreakerOpen
from cardshop.traffic.bulkheads import Bulkhead, NoPlace, bulkhead_of, pool_has


@pytest.fixture(autouse=True)
def _eight_threads(monkeypatch):
    monkeypatch.setattr(bulkheads, "_threads", 8)
    monkeypatch.setattr(bulkheads, "PATIENCE", 0.01)


def take_all(bulkhead, stack):
    taken = 0
    while True:
        try:
            stack.enter_context(bulkhead.place())
        except NoPlace:
            return taken
        taken += 1


def test_one_partner_has_half_of_the_threads_and_another_has_places_of_its_own():
    with ExitStack() as stack:
        assert take_all(bulkhead_of("one"), stack) == 4
        assert take_all(bulkhead_of("another"), stack) == 4

    with ExitStack() as stack:
        assert take_all(bulkhead_of("one"), stack) == 4


def test_a_slow_partner_has_a_quarter_and_nobody_waits_for_it(monkeypatch):
    bulkhead = Bulkhead()
    monkeypatch.setattr(bulkheads, "SLOW", -1.0)
    monkeypatch.setattr(bulkheads, "PATIENCE", 1e6)

    with ExitStack() as stack:
        assert take_all(bulkhead, stack) == 2


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_even_a_small_pool_may_call(threads):
    pool_has(threads)

    with ExitStack() as stack:
        assert take_all(Bulkhead(), stack) == 1


def test_a_call_under_way_tells_that_the_partner_is_slow_and_the_next_quick_one_that_it_is_not(monkeypatch):
    bulkhead = Bulkhead()
    with bulkhead.place():
        assert not bulkhead.is_slow
        monkeypatch.setattr(bulkheads, "SLOW", 0.0)
        assert bulkhead.is_slow
    assert bulkhead.is_slow

    monkeypatch.setattr(bulkheads, "SLOW", 60.0)
    with bulkhead.place():
        pass

    assert not bulkhead.is_slow


@pytest.mark.parametrize("error", [BreakerOpen(5), NoPlace()])
def test_a_call_that_was_not_made_tells_nothing(error):
    bulkhead = Bulkhead()
    bulkhead._last_took = 60.0

    with pytest.raises(type(error)), bulkhead.place():
        raise error

    assert bulkhead.is_slow


def test_whoever_waits_gets_the_place_of_a_call_that_ends(monkeypatch):
    monkeypatch.setattr(bulkheads, "PATIENCE", 60.0)
    pool_has(2)
    bulkhead, inside, go = Bulkhead(), Event(), Event()

    def call():
        with bulkhead.place():
            inside.set()
            assert go.wait(60)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(call)
        assert inside.wait(60)
        second = pool.submit(call)
        go.set()

        assert [first.result(60), second.result(60)] == [None, None]


class Worker:
    concurrency = 12


def test_a_worker_tells_how_many_threads_it_has():
    worker_init.send(sender=Worker())

    with ExitStack() as stack:
        assert take_all(Bulkhead(), stack) == 6
