"""Token buckets, by the clock of a real Redis. A slow bucket earns nothing while a test lasts."""

import secrets
import socket
import time
from collections import Counter
from contextlib import closing
from typing import Any

import pytest

from cardshop.traffic import buckets
from cardshop.traffic.buckets import Bucket
from tests.race.racing import race

AN_HOUR = 3600.0


def slow(burst: int) -> Bucket:
    return Bucket(f"test-{secrets.token_hex(4)}", 1 / AN_HOUR, burst)


def key_of(bucket: Bucket) -> bytes:
    (key,) = buckets._connect().keys(f"bucket:{bucket.name}:*")
    return key


def test_the_burst_is_there_at_once_and_not_one_more():
    bucket = slow(3)

    taken = [bucket.take("lin") for _ in range(4)]

    assert [one.allowed for one in taken] == [True, True, True, False]
    assert [one.remaining for one in taken] == [2, 1, 0, 0]
    assert taken[0].retry_after == 0
    assert AN_HOUR - 60 < taken[3].retry_after <= AN_HOUR
    assert 3 * AN_HOUR - 60 < taken[3].full_in <= 3 * AN_HOUR


def test_everybody_has_a_bucket_of_their_own():
    bucket = slow(1)

    assert bucket.take("lin").allowed
    assert bucket.take("wang").allowed
    assert not bucket.take("lin").allowed


def test_what_costs_more_than_is_left_takes_nothing():
    bucket = slow(3)

    assert not bucket.take("lin", cost=4).allowed
    assert bucket.take("lin", cost=3).allowed
    assert not bucket.take("lin").allowed


def test_a_token_comes_back_when_it_was_earned():
    bucket = slow(2)
    bucket.take("lin", cost=2)
    full_at = float(buckets._connect().get(key_of(bucket)))

    buckets._connect().set(key_of(bucket), f"{full_at - AN_HOUR * 1e6:.0f}")  # as if an hour had gone by

    assert bucket.take("lin").allowed
    assert not bucket.take("lin").allowed


def test_a_full_bucket_is_forgotten_and_its_owner_not_written_down():
    bucket = slow(2)
    bucket.take("a-secret")

    assert 0 < buckets._connect().ttl(key_of(bucket)) <= AN_HOUR
    assert b"a-secret" not in key_of(bucket)


def test_other_numbers_hold_from_the_next_request_on():
    before = slow(100)
    before.take("lin", cost=100)

    refused = Bucket(before.name, 1.0, 2).take("lin")

    assert (refused.allowed, refused.retry_after, refused.full_in) == (False, 1, 2)


def sixteen_at_once() -> Counter[bool]:
    """Whether each was allowed, of a bucket of five."""
    bucket = slow(5)
    return Counter(taken.allowed for taken in race(16, lambda: bucket.take("lin")))


@pytest.mark.django_db(transaction=True)
def test_sixteen_at_once_take_what_there_is():
    assert sixteen_at_once() == {True: 5, False: 11}


@pytest.mark.django_db(transaction=True)
def test_control_reading_first_and_writing_later_gives_away_more(monkeypatch):
    """If this one fails, the test above proves nothing."""

    def in_two_steps(keys: list[str], args: list[int], client: Any) -> list[int]:
        each, holds, wanted = args
        taken = int(client.get(keys[0]) or 0)
        time.sleep(0.1)  # everybody reads before anybody writes
        if taken + wanted > holds:
            return [0, 0, each, each]
        client.set(keys[0], taken + wanted, ex=60)
        return [1, 0, 0, 0]

    monkeypatch.setattr(buckets, "_script", lambda: in_two_steps)

    assert sixteen_at_once()[True] > 5


@pytest.mark.parametrize("answers", [False, True], ids=["refusing", "silent"])
def test_without_redis_nobody_counts_and_it_is_left_alone_for_a_moment(settings, monkeypatch, answers):
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        if not answers:
            server.close()
            settings.ADMISSION_REDIS_URL = "redis://127.0.0.1:1/0"
        else:
            settings.ADMISSION_REDIS_URL = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        monkeypatch.setattr(buckets, "_here", buckets.local())

        assert slow(1).take("lin") is None
        monkeypatch.setattr(buckets, "_connect", pytest.fail)
        assert slow(1).take("lin") is None
