"""The benchmark of routers: worlds that come again, figures that add up, and a picture."""

from dataclasses import replace
from random import Random
from statistics import mean

import pytest

from benchmarks.routing import picture, table
from benchmarks.routing.routers import SuccessRate
from benchmarks.routing.scenarios import REPORTED_ON, SCENARIOS, TUNED_ON, World
from benchmarks.routing.simulate import run
from benchmarks.routing.tuning import GRIDS, SETTINGS_TRIED, settings_to_try, tuned
from payments.routing.estimator import Knobs

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def part_of(world: World, seconds: float) -> World:
    return replace(world, payments=[p for p in world.payments if p.at < seconds], ends=seconds)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_seed_is_the_same_world_again_and_another_is_another(scenario):
    assert scenario.world(3) == scenario.world(3)
    assert scenario.world(3).payments[0] != scenario.world(4).payments[0]


def test_who_knows_the_best_loses_nothing_and_nobody_loses_less():
    world = part_of(BY_NAME["silent outage"].world(1), 600)

    assert run("oracle", {}, world, 1).regret == 0
    for router in ("round robin", "best fixed", "success rate", "cohorts"):
        assert run(router, tuned(router), world, 1).regret > 0


def test_a_run_comes_again_with_its_seed():
    world = part_of(BY_NAME["hard outage"].world(1), 400)
    one, again = (replace(run("cohorts", {}, world, 5), microseconds=0) for _ in range(2))

    assert one == again


def test_ours_leaves_a_dead_channel_sooner_than_the_plain_success_rate():
    worlds = {seed: part_of(BY_NAME["flash burst"].world(seed), 330) for seed in (1, 2)}

    def to_dead(router):
        return mean(run(router, {}, world, seed).to_dead for seed, world in worlds.items())

    assert to_dead("cohorts") < to_dead("success rate") / 2


def test_the_success_rate_counts_a_failure_when_it_is_overdue_and_takes_it_back_when_it_is_paid():
    router = SuccessRate(Random(1), window=10, hedging=0.0, patience=40)
    router.sent(0, 7, 2, 0)
    assert router.first(39, set())[:4] != []
    assert router._good[2] == 10

    router.first(40, set())
    assert router._good[2] == 9
    router.paid(50, 7)
    assert router._good[2] == 10


def test_all_routers_are_tuned_alike_and_not_on_the_seeds_that_are_reported():
    assert not set(TUNED_ON) & set(REPORTED_ON)
    assert len(REPORTED_ON) >= 30
    for router in GRIDS:
        assert len(settings_to_try(router)) == SETTINGS_TRIED
        assert tuned(router) in settings_to_try(router)


def test_what_runs_in_the_shop_is_what_was_tuned():
    assert Knobs(**tuned("cohorts")) == Knobs()


def test_tables_and_picture_hold_every_scenario():
    names = ("silent outage", "flash burst")
    worlds = {(name, seed): part_of(BY_NAME[name].world(seed), 130) for name in names for seed in (1, 2)}
    routers = ("oracle", *picture.SHOWN)
    runs = {
        name: {router: [run(router, {}, worlds[name, seed], seed) for seed in (1, 2)] for router in routers}
        for name in names
    }

    assert table.regret_table(runs).count("\n") == 2 + len(names)
    assert [row["regret"] for row in table.rows(runs) if row["router"] == "oracle"] == [0, 0]
    assert len(table.bars(runs)) == 2
    drawing = picture.draw(runs, seeds=2)
    assert all(name in drawing for name in (*names, "all scenarios"))
    assert "nan" not in drawing
