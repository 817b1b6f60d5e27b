"""Fifty buyers for one key, and one buyer who presses twenty times."""

from functools import partial

import pytest
from django.db import IntegrityError

from inventory.models import Stock, Variant
from inventory.stock import prededuct
from orders.models import Order, Reservation
from tests.factories import counters, make_buyer, make_order, make_variant
from tests.race.racing import broken_invariants, cut, linger, race, unique_constraint_of, without_constraint

pytestmark = pytest.mark.django_db(transaction=True)

CONDITION = "AND (released IS NULL OR claimed + %(quantity)s <= released)"


def fifty_buyers_for_one_key() -> tuple[Variant, list[object]]:
    variant = make_variant(keys=1)
    return variant, race(50, lambda: make_order(variant))


def test_of_fifty_buyers_for_one_key_one_gets_it_and_the_others_hear_so():
    variant, outcomes = fifty_buyers_for_one_key()

    kinds = sorted(type(outcome).__name__ for outcome in outcomes)
    assert kinds == ["Order"] + ["OutOfStock"] * 49
    assert counters(variant) == (1, 1, 1)
    assert Order.objects.count() == Reservation.objects.count() == 1
    assert broken_invariants() == []


def test_where_the_claim_forgets_to_look_the_constraint_still_refuses(monkeypatch):
    monkeypatch.setattr(prededuct, "CLAIM", cut(prededuct.CLAIM, CONDITION))

    variant, outcomes = fifty_buyers_for_one_key()

    assert [type(o) for o in outcomes].count(Order) == 1
    assert sum(isinstance(outcome, IntegrityError) for outcome in outcomes) == 49
    assert counters(variant) == (1, 1, 1)


def test_control_without_condition_and_constraint_the_same_race_oversells(monkeypatch):
    """If this one fails, the two above prove nothing."""
    monkeypatch.setattr(prededuct, "CLAIM", cut(prededuct.CLAIM, CONDITION))

    with without_constraint(Stock, "stock_never_oversold"):
        variant, outcomes = fifty_buyers_for_one_key()

        assert sum(isinstance(outcome, Order) for outcome in outcomes) > 1
        assert counters(variant)[2] > 1


def test_control_looking_first_and_claiming_then_oversells(monkeypatch):
    """The mistake that looks right: the same condition, tested a moment before the UPDATE."""
    looked_first = cut(
        prededuct.CLAIM,
        CONDITION,
        "AND EXISTS (SELECT FROM inventory_stock WHERE variant_id = %(variant)s"
        # Everybody has looked before anybody acts.
        f" {CONDITION} AND pg_sleep(0.5) IS NOT NULL)",
    )
    monkeypatch.setattr(prededuct, "CLAIM", looked_first)

    with without_constraint(Stock, "stock_never_oversold"):
        _variant, outcomes = fifty_buyers_for_one_key()

        assert sum(isinstance(outcome, Order) for outcome in outcomes) > 1


def one_buyer_presses_twenty_times(*, keys: int) -> tuple[Variant, list[object]]:
    variant = make_variant(keys=keys)
    buyer = make_buyer(variant)
    press = partial(
        make_order, variant, contact_email="lin@example.org", buyer=buyer, idempotency_key="k" * 16
    )
    return variant, race(20, press)


def test_one_request_sent_twenty_times_at_once_is_one_order():
    """With one key: a twin that claimed stock before it found its order would be told "sold out"."""
    variant, outcomes = one_buyer_presses_twenty_times(keys=1)

    assert outcomes == [Order.objects.get()] * 20
    assert Reservation.objects.count() == 1
    assert counters(variant) == (1, 1, 1)
    assert broken_invariants() == []


def test_control_without_the_unique_ticket_it_becomes_several(monkeypatch):
    linger(monkeypatch, "orders.services.placing.sellable")

    with without_constraint(Order, unique_constraint_of(Order, "ticket_id")):
        variant, _outcomes = one_buyer_presses_twenty_times(keys=20)

        assert Order.objects.count() > 1
        assert counters(variant)[2] > 1
