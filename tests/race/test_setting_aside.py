"""Stock is set aside while it is bought."""

import time

import pytest

from inventory import setting_aside
from inventory.errors import NotSoManyFree, OutOfStock
from inventory.models import Stock
from inventory.setting_aside import set_aside, take_back
from inventory.stock import claim
from orders.models import Order
from tests.factories import make_order, make_variant
from tests.race.racing import broken_invariants, linger, race_all, read_unlocked, rounds

pytestmark = pytest.mark.django_db(transaction=True)
POOL = "reseller-7"


def buying_while_it_is_set_aside(variant, times: int = 6) -> None:
    def buy(_number: int) -> None:
        try:
            make_order(variant)
        except OutOfStock:
            return

    def put_aside(number: int) -> None:
        try:
            (take_back if number % 3 == 2 else set_aside)(variant, pool=POOL, quantity=2)
        except NotSoManyFree:
            return

    rounds(times, buy, buy, buy, put_aside, put_aside, jitter=0.01)


def test_no_unit_is_promised_twice():
    variant = make_variant(keys=20)

    buying_while_it_is_set_aside(variant)

    public, own = Stock.objects.get(pool="public"), Stock.objects.get(pool=POOL)
    assert public.total + own.total == 20
    assert public.claimed == Order.objects.count()
    assert (public.short, own.short) == (0, 0)
    assert broken_invariants() == []


def set_aside_what_somebody_is_buying(monkeypatch) -> Stock:
    """It looks, and before it writes somebody buys the only one."""
    variant = make_variant(keys=1)
    Stock.objects.create(shop=variant.shop, variant=variant, pool=POOL)
    linger(monkeypatch, "inventory.setting_aside.count_out", 0.3)

    def buy_meanwhile() -> None:
        time.sleep(0.1)
        make_order(variant)

    race_all(lambda: set_aside(variant, pool=POOL, quantity=1), buy_meanwhile)
    return Stock.objects.get(variant=variant, pool="public")


def test_whoever_comes_second_finds_it_gone(monkeypatch):
    public = set_aside_what_somebody_is_buying(monkeypatch)

    assert (public.total, public.claimed, public.short) == (0, 0, 0)
    assert Stock.objects.get(pool=POOL).total == 1


def test_control_without_the_lock_it_is_promised_to_both(monkeypatch):
    monkeypatch.setattr(setting_aside, "lock_rows", read_unlocked)

    public = set_aside_what_somebody_is_buying(monkeypatch)

    assert (public.claimed, public.short) == (1, 1)
    assert Stock.objects.get(pool=POOL).total == 1
    assert claim(variant_id=public.variant_id, quantity=1, pool=POOL)  # of one key, the second
