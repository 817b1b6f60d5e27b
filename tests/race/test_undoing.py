"""A batch is taken back while it is being sold, imported, or taken back by somebody else."""

import pytest

from inventory.errors import OutOfStock
from inventory.imports import running, undoing
from inventory.imports.undoing import begin_undo
from inventory.models import CardKey, KeyBatch, Stock
from inventory.tasks import undo_imports
from orders.models import Order
from orders.services.delivery import deliver_orders
from tests.factories import NOON, counters, make_order, make_variant, pay_order
from tests.race.racing import (
    broken_invariants,
    linger,
    race_all,
    read_unlocked,
    rounds,
)
from tests.uploads import imported, upload

pytestmark = pytest.mark.django_db(transaction=True)

BUYERS = 12
KEYS = "\n".join(f"KEY-{number}" for number in range(16))


def undo_while_it_sells(monkeypatch: pytest.MonkeyPatch):
    """Everybody buys one of sixteen keys, pays and is delivered to, while they are taken back two by two."""
    monkeypatch.setattr(undoing, "CHUNK", 2)
    linger(monkeypatch, "inventory.imports.undoing._delete_keys", 0.02)
    variant = make_variant()
    batch = imported(variant, KEYS)

    def buy(_number: int) -> None:
        try:
            order = make_order(variant)
        except OutOfStock:
            return
        pay_order(order)
        deliver_orders([order.pk], NOON)

    def undo(number: int) -> None:
        if number == 1:
            begin_undo(batch, now=NOON)
            undo_imports()

    rounds(BUYERS // 3, buy, buy, buy, undo, jitter=0.03)
    batch.refresh_from_db()
    return variant, batch


def test_whoever_was_sold_a_key_has_one_and_the_rest_is_taken_back(monkeypatch):
    variant, batch = undo_while_it_sells(monkeypatch)

    assert set(Order.objects.values_list("status", "attention")) <= {("delivered", "")}
    sold = Order.objects.count()
    assert batch.state == "undone"
    assert batch.undone == 16 - CardKey.objects.count()
    assert counters(variant)[2] == sold == CardKey.objects.filter(status="sold").count()
    assert broken_invariants() == []


def test_control_without_the_stocks_lock_what_is_promised_is_taken_away(monkeypatch):
    monkeypatch.setattr(undoing, "lock_rows", read_unlocked)

    variant = make_variant()
    batch = imported(variant, KEYS)
    linger(monkeypatch, "inventory.imports.undoing._delete_keys", 0.5)

    def undo() -> None:
        begin_undo(batch, now=NOON)
        undo_imports()

    def buy() -> None:
        for _ in range(4):
            make_order(variant)

    race_all(undo, buy)

    assert Stock.objects.get(variant=variant).short > 0


def test_an_order_that_is_open_still_gets_its_keys_afterwards():
    variant = make_variant()
    batch = imported(variant, KEYS)
    order = make_order(variant, quantity=4)
    pay_order(order)

    begin_undo(batch, now=NOON)
    undo_imports()
    deliver_orders([order.pk], NOON)

    batch.refresh_from_db()
    assert batch.undone == 12
    order.refresh_from_db()
    assert (order.status, order.attention) == ("delivered", "")
    assert broken_invariants() == []


def test_an_import_and_its_being_undone_leave_nothing_half_done(monkeypatch):
    monkeypatch.setattr(running, "CHUNK_LINES", 2)
    linger(monkeypatch, "inventory.imports.running._comes_next", 0.02)
    variant = make_variant()
    batch = upload(variant, KEYS)

    def undo() -> None:
        begin_undo(KeyBatch.objects.get(pk=batch.pk), now=NOON)
        undo_imports()

    race_all(lambda: running.import_for_a_while(batch.pk), undo)

    batch.refresh_from_db()
    assert (batch.state, batch.undone) == ("undone", batch.imported)
    assert counters(variant) == (0, 0, 0)
    assert broken_invariants() == []


def test_two_who_undo_the_same_batch_count_each_key_out_once(monkeypatch):
    monkeypatch.setattr(undoing, "CHUNK", 1)
    variant = make_variant(keys=3)
    batch = imported(variant, KEYS)
    begin_undo(batch, now=NOON)

    race_all(*[lambda: undoing.undo_batches([batch.pk], NOON)] * 3)

    batch.refresh_from_db()
    assert (batch.state, batch.undone, counters(variant)) == ("undone", 16, (3, 3, 0))
    assert broken_invariants() == []
