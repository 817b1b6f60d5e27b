"""The breaker against a real Redis; what would take minutes is moved by hand in its hash."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from cardshop.traffic import breakers
from cardshop.traffic.breakers import Breaker, BreakerOpen


class Failed(Exception):
    pass


class Nobody(Failed):
    pass


class Refused(Exception):
    pass


@pytest.fixture
def name():
    return f"test:{secrets.token_hex(8)}"


def breaker(name):
    """As another process would have it: it remembers nothing."""
    breakers._seen_of.cache_clear()
    return Breaker(name, failures=Failed, no_answer=Nobody)


def call(name, error=None):
    with breaker(name).around():
        if error:
            raise error


def call_and_forgive(name, error):
    with pytest.raises(type(error)):
        call(name, error)


def trip(name):
    for _ in range(5):
        call_and_forgive(name, Nobody())


def state(name, **changes):
    client = breakers._connect()
    key = f"breaker:{{{name}}}:state"
    if changes:
        client.hset(key, mapping=changes)
    return {field.decode(): value.decode() for field, value in client.hgetall(key).items()}


def test_five_in_a_row_that_nobody_answered_open_it_for_everybody(name):
    trip(name)

    with pytest.raises(BreakerOpen) as left_alone:
        call(name)

    assert 4 < left_alone.value.again_in <= 5
    assert 4 < breaker(name).open_for() <= 5
    call("another")
    assert breaker("another").open_for() is None


def test_failing_every_second_time_opens_it_too(name):
    for _ in range(4):
        call_and_forgive(name, Failed())
        call(name)
    call(name)
    assert breaker(name).open_for() is None

    call_and_forgive(name, Failed())

    assert breaker(name).open_for() > 4


def test_few_failures_among_many_answers_do_not(name):
    for number in range(40):
        call_and_forgive(name, Failed()) if number % 4 == 0 else call(name)


@pytest.mark.parametrize("error", [Refused(), ZeroDivisionError()])
def test_an_answer_is_an_answer_whatever_it_says(name, error):
    for _ in range(20):
        call_and_forgive(name, error)


def test_after_its_time_three_good_probes_close_it(name):
    trip(name)
    state(name, until=0)

    for _ in range(3):
        call(name)

    assert state(name)["state"] == "closed"
    for _ in range(20):
        call(name)


def test_a_probe_that_fails_opens_it_for_twice_as_long(name):
    for expected in (5, 10, 20, 40, 80, 160, 300, 300):
        if expected == 5:
            trip(name)
        else:
            state(name, until=0)
            call_and_forgive(name, Failed())
        with pytest.raises(BreakerOpen) as left_alone:
            call(name)
        assert expected - 1 < left_alone.value.again_in <= expected


def test_long_after_it_closed_it_begins_with_five_seconds_again(name):
    trip(name)
    state(name, until=0)
    call_and_forgive(name, Failed())
    state(name, until=0)
    for _ in range(3):
        call(name)
    state(name, closed_at=1)

    trip(name)

    assert breaker(name).open_for() <= 5


def test_what_began_before_it_opened_neither_closes_nor_opens_it(name):
    late = breaker(name)
    with late.around():
        trip(name)
        state(name, until=0, state="half", good=2)

    assert state(name)["state"] == "half"


def did(name):
    """Newest first: seconds that it opened for and why, or "closed"."""
    return [
        (round((done.until - done.at).total_seconds()), done.why) if done.until else "closed"
        for done in breaker(name).history()
    ]


def test_what_it_did_is_kept_with_the_reason(name):
    assert did(name) == []
    trip(name)
    state(name, until=0)
    call_and_forgive(name, Failed())
    state(name, until=0)
    for _ in range(3):
        call(name)
    for number in range(10):
        call_and_forgive(name, Failed()) if number % 2 else call(name)

    assert did(name) == [(20, "share"), "closed", (10, "probe"), (5, "row")]
    assert did("another") == []
    moments = [done.at for done in breaker(name).history()]
    assert moments == sorted(moments, reverse=True)


def test_what_sixteen_see_at_once_happened_once(name):
    together = Barrier(16)

    def fail(_):
        one = Breaker(name, failures=Failed, no_answer=Nobody)
        with one.around():
            together.wait()
            raise Nobody

    with ThreadPoolExecutor(16) as pool:
        outcomes = [pool.submit(fail, number) for number in range(16)]
        assert {type(outcome.exception()) for outcome in outcomes} == {Nobody}

    assert did(name) == [(5, "row")]


def test_the_last_fifty_times_are_kept_for_a_month(name):
    trip(name)
    for _ in range(60):
        state(name, until=0)
        call_and_forgive(name, Failed())

    assert did(name) == [(300, "probe")] * 50
    month = 30 * 24 * 3600
    assert month - 60 < breakers._connect().ttl(f"breaker:{{{name}}}:history") <= month


def probes(name, ask=None):
    """How many of sixteen that come at once are let through."""
    barrier = Barrier(16)

    def come(_):
        one = Breaker(name, failures=Failed, no_answer=Nobody)
        barrier.wait()
        try:
            (ask or one._ask)(secrets.token_hex(8))
        except BreakerOpen:
            return 0
        return 1

    with ThreadPoolExecutor(16) as pool:
        return sum(pool.map(come, range(16)))


def test_of_many_who_come_at_once_three_are_probes(name):
    trip(name)
    state(name, until=0)

    assert probes(name) == 3
    assert probes(name) == 0


def test_control_looking_and_taking_in_two_steps_lets_more_through(name):
    trip(name)
    key, together = f"breaker:{{{name}}}:probes", Barrier(16)

    def ask(token):
        taken = breakers._connect().zcard(key)
        together.wait()
        if taken >= 3:
            raise BreakerOpen(1)
        breakers._connect().zadd(key, {token: 1e15})

    assert probes(name, ask) == 16


def test_the_place_of_a_probe_that_died_is_given_to_another(name):
    trip(name)
    state(name, until=0)
    assert probes(name) == 3
    key = f"breaker:{{{name}}}:probes"
    for token in breakers._connect().zrange(key, 0, -1):
        breakers._connect().zadd(key, {token: 1})  # its lease has run out

    assert probes(name) == 3


@pytest.fixture
def _no_redis(settings, monkeypatch):
    settings.ADMISSION_REDIS_URL = "redis://127.0.0.1:9/0"
    for attribute in ("client", "rests_until"):
        monkeypatch.delattr(breakers._here, attribute, raising=False)
    breakers._seen_of.cache_clear()
    yield
    for attribute in ("client", "rests_until"):
        if hasattr(breakers._here, attribute):
            delattr(breakers._here, attribute)


@pytest.mark.usefixtures("_no_redis")
def test_without_redis_each_process_goes_by_what_it_sees(name):
    alone = Breaker(name, failures=Failed, no_answer=Nobody)

    def attempt(error=None):
        with alone.around():
            if error:
                raise error

    for _ in range(4):
        with pytest.raises(Failed):
            attempt(Failed())
    attempt()  # an answer: all is well again
    for _ in range(5):
        with pytest.raises(Failed):
            attempt(Failed())
    with pytest.raises(BreakerOpen):
        attempt()
    assert alone.open_for() is None
    assert alone.history() is None


def test_in_a_rush_redis_is_asked_and_told_now_and_then_and_misses_nothing(name, monkeypatch):
    said = []
    script = breakers._script()

    def heard(**call):
        said.append(call["args"][::2])
        return script(**call)

    monkeypatch.setattr(breakers, "_script", lambda: heard)
    one = Breaker(name, failures=Failed, no_answer=Nobody)
    for _ in range(4):
        with one.around():
            pass
    with pytest.raises(Failed), one.around():
        raise Failed

    assert said == [["ask", 0], ["ok", 1], ["failed", 3]]
    assert [value for field, value in sorted(state(name).items()) if ":" in field] == ["1", "4"]
