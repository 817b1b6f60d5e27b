"""A batch is taken back as far as it is free."""

import pytest

from inventory.imports import undoing
from inventory.imports.undoing import NothingToUndo, begin_undo
from inventory.models import CardKey, KeyBatch, KeyUpload
from inventory.picking import pick_keys
from inventory.stock import claim
from tests.factories import NOON, counters, make_variant
from tests.race.racing import broken_invariants
from tests.uploads import imported, let_workers_work, upload

pytestmark = pytest.mark.django_db(transaction=True)

TEN = "\n".join(f"K{number}" for number in range(10))


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(undoing, "CHUNK", 3)


def undo(batch) -> None:
    begin_undo(batch, now=NOON)
    let_workers_work()
    batch.refresh_from_db()


def test_what_is_free_is_deleted_and_out_of_stock_and_may_come_again():
    variant = make_variant(keys=2)
    batch = imported(variant, TEN)

    undo(batch)

    assert (batch.state, batch.imported, batch.undone) == ("undone", 10, 10)
    assert counters(variant) == (2, 2, 0)
    assert CardKey.objects.count() == 2
    assert broken_invariants() == []
    assert imported(variant, TEN).imported == 10


def test_what_is_sold_or_held_stays():
    variant = make_variant()
    batch = imported(variant, TEN)
    pick_keys(variant_id=variant.pk, quantity=2, now=NOON)
    claim(variant_id=variant.pk, quantity=5)  # the two, and three that are held

    undo(batch)

    assert (batch.state, batch.undone) == ("undone", 5)
    assert counters(variant) == (5, 5, 5)
    assert CardKey.objects.filter(status="available").count() == 3


def test_where_nothing_is_free_that_is_said_and_nothing_changes():
    variant = make_variant()
    batch = imported(variant, TEN)
    claim(variant_id=variant.pk, quantity=10)

    with pytest.raises(NothingToUndo):
        undo(batch)

    batch.refresh_from_db()
    assert (batch.state, counters(variant)) == ("done", (10, 10, 10))


def test_what_becomes_free_later_can_be_taken_back_then():
    variant = make_variant()
    batch = imported(variant, TEN)
    claim(variant_id=variant.pk, quantity=4)
    undo(batch)
    variant.stocks.update(claimed=1)

    undo(batch)

    assert (batch.state, batch.undone, counters(variant)) == ("undone", 9, (1, 1, 1))


def test_closed_keys_go_first():
    variant = make_variant(sells_in_waves=True)
    batch = imported(variant, TEN)
    variant.stocks.update(released=4, claimed=3)

    undo(batch)

    assert counters(variant) == (3, 3, 3)


def test_an_import_that_still_waits_is_stopped():
    variant = make_variant()
    batch = upload(variant, TEN)

    undo(batch)

    assert (batch.state, batch.imported) == ("undone", 0)
    assert not KeyUpload.objects.exists()
    assert broken_invariants() == []


def test_a_second_click_changes_nothing():
    batch = imported(make_variant(), TEN)

    assert begin_undo(batch, now=NOON)
    assert not begin_undo(batch, now=NOON)


def test_what_all_buyers_share_or_a_person_typed_is_no_import_to_undo():
    batch = imported(make_variant(), TEN)
    for origin in (KeyBatch.Origin.REUSABLE, KeyBatch.Origin.TYPED):
        batch.origin = origin
        with pytest.raises(NothingToUndo):
            begin_undo(batch, now=NOON)
    assert CardKey.objects.count() == 10
