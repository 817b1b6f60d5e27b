"""Uploads that are imported at the same moment, and one that two workers believe to be theirs."""

import pytest

from inventory.imports import running
from inventory.models import CardKey, KeyBatch
from tests.factories import counters, make_variant, stock_up
from tests.race.racing import broken_invariants, linger, race_all
from tests.uploads import left_out, upload

pytestmark = pytest.mark.django_db(transaction=True)

KEYS = [f"KEY-{number}" for number in range(30)]


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(running, "CHUNK_LINES", 4)


def two_workers_import_one_upload(monkeypatch: pytest.MonkeyPatch) -> KeyBatch:
    linger(monkeypatch, "inventory.imports.running.store_keys", 0.01)
    variant = make_variant(keys=1)
    batch = upload(variant, "\n".join(KEYS))

    race_all(*[lambda: running.import_for_a_while(batch.pk)] * 3)
    while not running.import_for_a_while(batch.pk):
        pass
    batch.refresh_from_db()
    return batch


def test_of_an_upload_that_several_workers_import_each_line_is_read_once(monkeypatch):
    batch = two_workers_import_one_upload(monkeypatch)

    assert (batch.imported, batch.duplicates, batch.lines) == (30, 0, 30)
    assert left_out(batch) == []
    assert counters(batch.variant) == (31, 31, 0)
    assert batch.state == "done"


def test_control_without_a_look_at_the_place_lines_are_read_twice(monkeypatch):
    monkeypatch.setattr(running, "_comes_next", lambda upload, chunk: True)

    batch = two_workers_import_one_upload(monkeypatch)

    assert batch.duplicates > 0


def test_the_same_keys_in_two_uploads_at_once_are_there_once():
    variants = [make_variant(), make_variant()]
    stock_up(variants[0], 1)  # the shop has its index key
    batches = [upload(variant, "\n".join(KEYS)) for variant in variants]

    race_all(*[lambda batch=batch: running.import_for_a_while(batch.pk) for batch in batches])

    for batch in batches:
        batch.refresh_from_db()
    assert [batch.state for batch in batches] == ["done", "done"]
    assert sum(batch.imported for batch in batches) == 30
    assert sum(batch.duplicates for batch in batches) == 30
    assert {reason for batch in batches for _line, reason in left_out(batch)} == {"known"}
    assert CardKey.objects.count() == 31
    assert broken_invariants() == []
