"""What is kept for display: computed once, never old, and never in the way."""

import socket
from contextlib import closing
from functools import partial
from threading import Barrier, Event, Thread

import pytest
import redis
from django.db import transaction
from django.utils import translation

from cardshop.traffic import display_cache
from cardshop.traffic.display_cache import DisplayCache, forget_on_commit

pytestmark = pytest.mark.usefixtures("pages_kept")

NAME, SHOP = "page/", 1


class Shifted:
    """A clock that is moved by hand, and Redis' keys with it."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += seconds
        client = display_cache._connect()
        for key in client.scan_iter("shown:*"):
            client.pexpire(
                key, client.pttl(key) - round(seconds * 1000)
            )  # a key without time left is deleted


@pytest.fixture
def clock() -> Shifted:
    return Shifted()


@pytest.fixture
def process(clock):
    """`process()` makes what another process would have: nothing at hand, the same Redis."""
    return partial(DisplayCache, clock)


class Counted:
    """Computes, and counts how often."""

    def __init__(self, value="new", first=lambda: None):
        self.value, self.times, self.first = value, 0, first

    def __call__(self):
        self.times += 1
        value = self.value
        self.first()
        return value


def look(cache, compute, *, shop_id=SHOP, name=NAME):
    return cache.get(name, shop_id=shop_id, compute=compute)


def look_together(caches, compute):
    """Each looks at one moment, in a thread of its own; returns what they saw."""
    start, seen = Barrier(len(caches)), []

    def run(cache):
        start.wait(10)
        seen.append(look(cache, compute))

    threads = [Thread(target=run, args=[cache]) for cache in caches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


def slow(seconds=0.1):
    """Long enough for everybody to come meanwhile."""
    return Counted(first=partial(Event().wait, seconds))


# Once


def test_of_many_threads_that_find_nothing_one_computes(process):
    compute = slow()

    assert look_together([process()] * 8, compute) == ["new"] * 8
    assert compute.times == 1


def test_of_many_processes_that_find_nothing_one_computes(process):
    compute = slow()

    assert look_together([process() for _ in range(8)], compute) == ["new"] * 8
    assert compute.times == 1


class NoLock:
    def acquire(self, timeout=0):
        return True

    def release(self):
        pass


def test_control_without_the_lock_every_thread_computes(process, monkeypatch, clock):
    """And without Redis, whose turns would hold them back as well."""
    monkeypatch.setattr(display_cache._Slot, "__init__", lambda slot: _unlocked(slot))
    cache = process()
    cache._rests_until = clock() + 10
    compute = slow()

    look_together([cache] * 8, compute)

    assert compute.times == 8


def _unlocked(slot):
    slot.entry, slot.lock = None, NoLock()


def test_control_without_turns_every_process_computes(process, monkeypatch):
    monkeypatch.setattr(display_cache, "_takes_turn", lambda key, generation: True)
    compute = slow()

    look_together([process() for _ in range(8)], compute)

    assert compute.times == 8


@pytest.mark.parametrize("who", ["the same process", "another process"])
def test_while_one_computes_anew_the_others_are_shown_what_there_is(who, process, clock):
    first, other = process(), process()
    look(first, Counted("old"))
    look(other, Counted())
    clock.move(0.6)
    begun, may_end = Event(), Event()

    def compute():
        begun.set()
        assert may_end.wait(10)
        return "new"

    refreshing = Thread(target=look, args=[first, compute])
    refreshing.start()
    begun.wait(10)
    meanwhile = look(first if who == "the same process" else other, pytest.fail)
    may_end.set()
    refreshing.join()

    assert meanwhile == "old"
    assert look(first, pytest.fail) == "new"


def test_what_fails_is_not_kept_and_keeps_nobody_from_trying(process, monkeypatch):
    monkeypatch.setattr(display_cache, "PAUSE", 60.0)  # whoever waited for a turn would be noticed

    with pytest.raises(ZeroDivisionError):
        look(process(), lambda: 1 / 0)

    assert look(process(), Counted()) == "new"


def test_a_process_keeps_a_bounded_number_of_things(process, monkeypatch):
    monkeypatch.setattr(display_cache, "_MOST", 3)
    cache = process()

    for number in range(5):
        look(cache, Counted(number), name=f"page/{number}")

    assert len(cache._at_hand._slots) == 3


# Never old


def oldest_shown(process, clock) -> float:
    """Two processes are asked every 0.1 s for a value that says when it was computed; the worst age seen."""
    first, other = process(), process()
    worst = 0.0
    for tick in range(60):
        for cache in (first, other) if tick % 3 else (other,):
            worst = max(worst, clock() - look(cache, lambda: clock()))
        clock.move(0.1)
    return round(worst, 3)


def test_nobody_is_shown_what_is_older_than_a_second(process, clock):
    assert 0 < oldest_shown(process, clock) <= 1.0


def test_control_with_ages_that_count_from_each_process_on_its_own_it_gets_older(process, clock, monkeypatch):
    """As if a process took what it finds in Redis for just made."""
    entry = display_cache.Entry
    monkeypatch.setattr(display_cache, "Entry", lambda value, began: entry(value, clock()))
    monkeypatch.setattr(display_cache, "_fresh_for", lambda: 0.95)

    assert oldest_shown(process, clock) > 1.0


def test_an_age_counts_from_before_the_computing(process, clock):
    cache = process()
    look(cache, Counted("slow", first=lambda: clock.move(0.6)))

    assert look(cache, Counted()) == "new"


def test_what_took_longer_than_it_may_be_shown_is_given_to_who_asked_and_to_nobody_else(process, clock):
    assert look(process(), Counted("slow", first=lambda: clock.move(1.5))) == "slow"
    assert look(process(), Counted()) == "new"


# Forgotten


@pytest.mark.django_db(transaction=True)
def test_what_changes_is_forgotten_on_commit_and_for_its_shop_only(process):
    look(process(), Counted("old"))
    look(process(), Counted("another's"), shop_id=2)

    with transaction.atomic():
        forget_on_commit(SHOP)
        assert look(process(), pytest.fail) == "old"

    assert look(process(), Counted()) == "new"
    assert look(process(), pytest.fail, shop_id=2) == "another's"


@pytest.mark.django_db(transaction=True)
def test_nothing_is_forgotten_for_what_was_rolled_back(process):
    look(process(), Counted("old"))

    with transaction.atomic():
        forget_on_commit(SHOP)
        transaction.set_rollback(True)

    assert look(process(), pytest.fail) == "old"


def what_is_shown_after_a_commit_during_the_computing(process):
    """One has read the old state; there is a commit, another computes the new one, and the first ends."""
    others = []

    def commit():
        process().forget(SHOP)
        others.append(look(process(), Counted("new")))

    look(process(), Counted("old", first=commit))
    assert others == ["new"]
    return look(process(), Counted("computed anew"))


def test_what_was_read_before_a_commit_is_not_shown_after_it(process):
    assert what_is_shown_after_a_commit_during_the_computing(process) != "old"


def test_control_without_generations_the_old_state_comes_back(process, monkeypatch):
    read = display_cache._read
    monkeypatch.setattr(display_cache, "_read", lambda *keys: ("", *read(*keys)[1:]))
    monkeypatch.setattr(display_cache, "_takes_turn", lambda key, generation: True)
    monkeypatch.setattr(DisplayCache, "forget", lambda cache, shop_id: display_cache._connect().flushdb())

    assert what_is_shown_after_a_commit_during_the_computing(process) == "old"


def test_languages_and_shops_are_kept_apart(process):
    for language in ("zh-hans", "en"):
        for shop_id in (1, 2):
            with translation.override(language):
                look(process(), Counted([language, shop_id]), shop_id=shop_id)

    with translation.override("en"):
        assert look(process(), pytest.fail, shop_id=2) == ["en", 2]


def test_another_release_reads_nothing_of_this_one(process, monkeypatch):
    look(process(), Counted("old"))
    monkeypatch.setattr(display_cache, "_code_version", lambda: "another")

    assert look(process(), Counted()) == "new"


# Redis does not do as it should


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b'"text"',
        b'["", 1, 2]',
        b'{"a": 1, "b": 2}',
        b"[" * 100_000,
        b'["other", "x"]',
    ],
)
def test_garbage_in_redis_is_as_good_as_nothing(garbage, process):
    look(process(), Counted("old"))
    client = display_cache._connect()
    (kept,) = (key for key in client.scan_iter("shown:*") if b":turn:" not in key)
    client.set(kept, garbage, px=900)
    process().forget(SHOP)  # so that somebody's turn does not delay it

    assert look(process(), Counted()) == "new"


@pytest.mark.parametrize("life", [{}, {"px": 3_600_000}])
def test_what_lives_longer_than_anything_we_keep_is_not_ours(life, process):
    look(process(), Counted("old"))
    client = display_cache._connect()
    (kept,) = (key for key in client.scan_iter("shown:*") if b":turn:" not in key)
    client.set(kept, client.get(kept), **life)
    client.delete(*client.scan_iter("shown:*:turn:*"))

    assert look(process(), Counted()) == "new"


def test_a_key_of_another_kind_stops_nobody(process):
    look(process(), Counted("old"))
    client = display_cache._connect()
    for key in client.scan_iter("shown:*"):
        client.delete(key)
        client.hset(key, "a", "b")

    assert look(process(), Counted()) == "new"


def test_an_emptied_redis_is_filled_again(process):
    look(process(), Counted("old"))
    display_cache._connect().flushdb()

    assert look(process(), Counted()) == "new"
    assert look(process(), pytest.fail) == "new"


@pytest.fixture
def silent(monkeypatch):
    """Where somebody accepts and never says a word; the list of calls that were made there."""
    with (
        closing(socket.create_server(("127.0.0.1", 0), backlog=64)) as server,
        monkeypatch.context() as patched,
    ):
        address = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        calls = []

        def connect():
            calls.append(address)
            return redis.Redis.from_url(address, socket_timeout=0.05, socket_connect_timeout=0.05)

        patched.setattr(display_cache, "_connect", connect)
        yield calls


def test_a_silent_redis_is_waited_for_once_and_then_left_alone(silent, process, clock):
    cache, compute = process(), Counted()

    for number in range(5):
        assert look(cache, compute, name=f"page/{number}") == "new"
        cache.forget(SHOP)
    assert (compute.times, len(silent)) == (5, 1)

    clock.now += display_cache.REDIS_RESTS
    look(cache, compute)
    assert len(silent) == 2


def test_control_without_the_rest_everybody_waits_for_a_silent_redis(silent, process, monkeypatch):
    monkeypatch.setattr(display_cache, "REDIS_RESTS", 0.0)
    cache = process()

    for number in range(5):
        look(cache, Counted(), name=f"page/{number}")

    assert len(silent) == 5


def test_without_redis_each_process_still_computes_once(silent, process):
    compute = slow()

    assert look_together([process()] * 8, compute) == ["new"] * 8
    assert compute.times == 1
