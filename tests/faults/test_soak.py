"""A short share of `make soak`: one storm against the running whole, whose processes are killed in it."""

import pytest

from benchmarks.soak.plan import KINDS, plan_storm
from benchmarks.soak.planted.bugs import environment
from benchmarks.soak.stack import Stack
from benchmarks.soak.storm import run_storm
from tests.prepared import prepared_var
from tests.stack import RunningShop

SEED = 7


@pytest.mark.timeout(240)
def test_a_storm_in_which_everything_is_killed_once_ends_with_everybody_served_and_told(tmp_path_factory):
    kinds = ["allocator", "web_worker", "redis_flush", "postgres_immediate"]
    plan = plan_storm(SEED, kinds=kinds, keys=24, buyers=60, faults_until=6, hold_seconds=10)

    with RunningShop(prepared_var(tmp_path_factory, "soak"), environment=environment()) as shop:
        result = run_storm(Stack(shop), plan)

    assert result.wrong == [], result.line
    assert result.sold >= result.paid > 10
    assert sorted(fault["kind"] for fault in result.faults) == sorted(kinds)


def test_the_same_seed_is_the_same_storm():
    assert plan_storm(SEED) == plan_storm(SEED)
    assert plan_storm(SEED) != plan_storm(SEED + 1)


def test_twenty_storms_in_a_row_have_every_kind_of_fault_and_an_allocator_killed_in_each():
    storms = [[fault.kind for fault in plan_storm(seed).faults] for seed in range(100, 120)]

    assert {kind for kinds in storms for kind in kinds} == set(KINDS)
    assert all("allocator" in kinds for kinds in storms)
