"""The stock engine: whichever strategy is chosen, the same claims are granted and refused."""

import os
import subprocess
import sys

import pytest
from django.db import IntegrityError, transaction
from django.db.transaction import TransactionManagementError
from django.utils.translation import override

from inventory import stock
from inventory.errors import OutOfStock, StockBusy
from inventory.models import Stock
from inventory.stock import optimistic
from tests.factories import counters, make_variant

pytestmark = pytest.mark.django_db


@pytest.fixture(params=stock.STRATEGIES)
def strategy(request, settings):
    settings.STOCK_STRATEGY = request.param


def stock_of(variant, pool=Stock.PUBLIC):
    return Stock.objects.get(variant=variant, pool=pool)


@pytest.mark.usefixtures("strategy")
def test_what_is_left_can_be_claimed_to_the_last():
    variant = make_variant(keys=3)

    claimed = [stock.claim(variant_id=variant.pk, quantity=quantity) for quantity in (1, 2)]

    assert claimed == [stock_of(variant).pk] * 2
    assert counters(variant) == (3, 3, 3)


@pytest.mark.usefixtures("strategy")
def test_more_than_is_left_is_refused_and_claims_nothing():
    variant = make_variant(keys=3)
    stock.claim(variant_id=variant.pk, quantity=2)
    version = stock_of(variant).version

    with pytest.raises(OutOfStock):
        stock.claim(variant_id=variant.pk, quantity=2)

    assert counters(variant) == (3, 3, 2)
    assert stock_of(variant).version == version


@pytest.mark.usefixtures("strategy")
def test_what_is_not_yet_released_cannot_be_claimed():
    variant = make_variant(keys=3)
    Stock.objects.filter(variant=variant).update(released=1)

    with pytest.raises(OutOfStock):
        stock.claim(variant_id=variant.pk, quantity=2)


@pytest.mark.usefixtures("strategy")
def test_unlimited_goods_are_counted_and_never_run_out():
    variant = make_variant()
    Stock.objects.filter(variant=variant).update(total=None, released=None)

    stock.claim(variant_id=variant.pk, quantity=1000)

    assert counters(variant) == (None, None, 1000)


@pytest.mark.usefixtures("strategy")
def test_each_pool_has_a_counter_of_its_own():
    variant = make_variant(keys=1)
    Stock.objects.create(shop=variant.shop, variant=variant, pool="partner", total=5, released=5)

    stock.claim(variant_id=variant.pk, quantity=5, pool="partner")

    assert stock_of(variant, "partner").claimed == 5
    assert counters(variant) == (1, 1, 0)


@pytest.mark.usefixtures("strategy")
def test_without_a_counter_there_is_nothing_to_claim():
    variant = make_variant(keys=1)

    with pytest.raises(OutOfStock):
        stock.claim(variant_id=variant.pk, quantity=1, pool="nobody's")


@pytest.mark.usefixtures("strategy")
def test_a_claim_and_a_release_each_raise_the_version_by_one():
    """Every strategy has to: it is all that the optimistic one would notice."""
    variant = make_variant(keys=3)
    before = stock_of(variant).version

    stock_id = stock.claim(variant_id=variant.pk, quantity=2)
    between = stock_of(variant).version
    stock.release(stock_id=stock_id, quantity=2)

    assert (between, stock_of(variant).version) == (before + 1, before + 2)
    assert counters(variant) == (3, 3, 0)


@pytest.mark.usefixtures("strategy")
def test_more_than_was_claimed_cannot_be_given_back():
    variant = make_variant(keys=3)
    stock_id = stock.claim(variant_id=variant.pk, quantity=1)

    with pytest.raises(IntegrityError, match="stock_never_oversold"), transaction.atomic():
        stock.release(stock_id=stock_id, quantity=2)

    assert counters(variant) == (3, 3, 1)


@pytest.mark.django_db(transaction=True)
def test_a_lock_that_nothing_would_hold_is_refused(settings):
    settings.STOCK_STRATEGY = "pessimistic"
    variant = make_variant(keys=1)

    with pytest.raises(TransactionManagementError):
        stock.claim(variant_id=variant.pk, quantity=1)


@pytest.fixture
def overtaken(monkeypatch, settings):
    """Somebody else writes the row between the look and the act of the first `times` tries."""
    settings.STOCK_STRATEGY = "optimistic"
    pauses = []
    monkeypatch.setattr(optimistic, "sleep", pauses.append)
    act = optimistic.add

    def overtake(times):
        left = iter(range(times))

        def add_too_late(rows, quantity):
            if next(left, None) is not None:
                # Any write counts, also one that leaves room enough.
                stock.release(stock_id=Stock.objects.get().pk, quantity=0)
            return act(rows, quantity)

        monkeypatch.setattr(optimistic, "add", add_too_late)
        return pauses

    return overtake


def test_whoever_was_overtaken_looks_again_after_a_longer_and_longer_pause(overtaken):
    variant = make_variant(keys=1)
    pauses = overtaken(optimistic.TRIES - 1)

    stock.claim(variant_id=variant.pk, quantity=1)

    assert counters(variant) == (1, 1, 1)
    assert len(pauses) == optimistic.TRIES
    assert all(0 <= pause <= optimistic.PAUSE * lost for lost, pause in enumerate(pauses))


def test_whoever_is_overtaken_every_time_hears_that_it_is_busy_and_claims_nothing(overtaken):
    variant = make_variant(keys=1)
    overtaken(optimistic.TRIES)

    with pytest.raises(StockBusy) as busy:
        stock.claim(variant_id=variant.pk, quantity=1)

    assert counters(variant) == (1, 1, 0)
    assert (busy.value.code, busy.value.http_status) == ("stock_busy", 503)
    with override("en"):
        assert str(busy.value).endswith("please try again in a moment.")
    with override("zh-hans"):
        assert str(busy.value).endswith("请稍后再试。")


def start_with(strategy):
    program = "import cardshop.wsgi; from django.conf import settings; print(settings.STOCK_STRATEGY)"
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "STOCK_STRATEGY": strategy},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_unknown_strategy_stops_the_start_and_says_which_there_are():
    start = start_with("hopeful")

    assert start.returncode != 0
    assert "STOCK_STRATEGY is 'hopeful', but can only be " in start.stderr
    assert all(name in start.stderr for name in stock.STRATEGIES)


@pytest.mark.parametrize(("told", "chosen"), [("optimistic", "optimistic"), ("", "prededuct")])
def test_the_environment_chooses_the_strategy(told, chosen):
    start = start_with(told)

    assert start.returncode == 0, start.stderr
    assert start.stdout.strip() == chosen
