"""Two whole installations: a buyer of the one gets a key of the other, whichever of them dies in between.

A share of `make soak-supply`, which kills at every step.
"""

from collections.abc import Iterator

import pytest

from benchmarks.supply import steps
from benchmarks.supply.furnishing import COSTS
from benchmarks.supply.judge import compared, wrongs
from benchmarks.supply.pair import Pair
from tests.prepared import prepared_var

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with Pair(prepared_var(tmp_path_factory, "here"), prepared_var(tmp_path_factory, "there")) as running:
        yield running


def test_whatever_dies_a_buyer_has_one_key_of_the_other_shop_and_it_was_paid_for_once(pair: Pair):
    refused = pair.buyer.buy("goods-dear")
    pair.wait_until(refused, status="refunded")

    served = [steps.take(pair, step, Pair.kill_web_there) for step in steps.OTHERS]
    served.append(steps.take(pair, steps.when_the_answer_begins, Pair.kill_all_there))

    assert wrongs(pair, served, [refused]) == []


def test_control_with_another_key_for_every_try_it_is_bought_twice(pair: Pair):
    steps.take(pair, steps.with_another_key_for_every_try, Pair.kill_web_there)

    bought = [reference for name, reference, _keys in pair.bought() if name == "Forgetful"]
    assert len(bought) == 2
    assert len({*bought}) == 1
    assert f"nothing by our books, {COSTS} paid by theirs" in compared(pair)["Forgetful"]
