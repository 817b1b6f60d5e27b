"""The referee: a race that ends in a deadlock must not pass for a quiet one."""

import time

import pytest
from django.db import OperationalError, connection, transaction

from cardshop.shops.models import Shop
from inventory.models import CardKey, Stock
from tests.factories import make_shop
from tests.race.racing import race, race_all, without_constraint

pytestmark = pytest.mark.django_db(transaction=True)


def test_everybody_has_a_connection_of_their_own():
    def backend() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return cursor.fetchone()[0]

    assert len(set(race(8, backend))) == 8


def test_what_an_act_raises_is_its_outcome():
    def fail() -> None:
        raise ValueError

    assert [type(outcome) for outcome in race(2, fail)] == [ValueError, ValueError]


def test_a_deadlock_ends_the_race():
    one, other = make_shop("one"), make_shop("other")

    def lock(first: Shop, then: Shop) -> None:
        with transaction.atomic():
            Shop.objects.filter(pk=first.pk).update(name="mine")
            time.sleep(0.2)  # so that both hold one row before either asks for its second
            Shop.objects.filter(pk=then.pk).update(name="mine")

    with pytest.raises(OperationalError, match="deadlock"):
        race_all(lambda: lock(one, other), lambda: lock(other, one))


def test_a_constraint_that_was_dropped_is_back_afterwards():
    for model, name in ((Stock, "stock_never_oversold"), (CardKey, "cardkey_once_per_shop")):
        before = _definition(name)
        with without_constraint(model, name):
            assert _definition(name) is None
        assert _definition(name) == before is not None


def _definition(name: str) -> str | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce((SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s),"
            " pg_get_indexdef(to_regclass(%s)))",
            [name, name],
        )
        return cursor.fetchone()[0]
