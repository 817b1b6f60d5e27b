"""The benchmark of look-ups can tell what differs from what does not."""

from random import Random

import pytest

from benchmarks.lookup import relabelling
from benchmarks.lookup.relabelling import judge


@pytest.fixture(autouse=True)
def _fewer(monkeypatch) -> None:
    monkeypatch.setattr(relabelling, "RELABELLINGS", 200)


def samples(random: Random, slower: float = 0.0) -> list[float]:
    """Of an answer that takes 4 ms, more or less, and now and then much longer."""
    return [0.004 + slower + random.expovariate(2_000) for _ in range(400)]


def test_what_comes_from_one_source_tells_nothing():
    random = Random(1)

    verdicts = [judge(samples(random), samples(random), random) for _ in range(10)]

    assert all(verdict.tells_nothing for verdict in verdicts)


@pytest.mark.parametrize("slower", [0.0003, -0.0003, 0.4])
def test_control_a_difference_is_seen_whether_smaller_than_the_noise_or_larger(slower):
    """If this one fails, the test above proves nothing."""
    random = Random(2)

    verdict = judge(samples(random, slower), samples(random), random)

    assert not verdict.tells_nothing
    assert verdict.difference == pytest.approx(slower, abs=0.0001)


def test_two_kinds_that_are_far_apart_are_seen_only_by_their_noise():
    """Why the labels are drawn twice."""
    random = Random(3)

    verdict = judge(samples(random, 0.4), samples(random), random)

    assert abs(verdict.difference) / verdict.of_all < 3
    assert abs(verdict.difference) / verdict.of_noise > 3
