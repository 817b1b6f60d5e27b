"""The worker is killed at each commit of an import. The next one goes on, and every line is read once."""

from datetime import timedelta

import pytest

from cardshop.common.clock import db_now
from cardshop.outbox.models import OutboxMessage
from inventory import tasks
from inventory.imports import running, undoing
from inventory.imports.undoing import begin_undo
from inventory.models import CardKey, KeyBatch, KeyUpload
from tests.factories import NOON, counters, make_variant
from tests.faults.crashing import AFTER, BEFORE, die_at_every_commit, dies
from tests.race.racing import broken_invariants
from tests.uploads import imported, left_out, let_workers_work, upload

pytestmark = pytest.mark.django_db(transaction=True)

both_sides = pytest.mark.parametrize("when", [BEFORE, AFTER])
TEXT = "".join(f"KEY-{number}\n" for number in range(9)) + "KEY-0\n"


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(running, "CHUNK_LINES", 4)
    monkeypatch.setattr(undoing, "CHUNK", 4)


def a_lease_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the next worker does when the dead one's lease has run out."""
    with monkeypatch.context() as patch:
        patch.setattr(tasks, "db_now", lambda: db_now() + tasks.LEASE + timedelta(seconds=1))
        let_workers_work()


@both_sides
def test_an_import_goes_on_where_the_last_commit_left_it(monkeypatch, when):
    batches: list[KeyBatch] = []
    variant = make_variant()

    def prepare() -> None:
        CardKey.objects.all().delete()
        variant.stocks.update(total=0, released=0)
        KeyBatch.objects.update(imported=0)
        batches.append(upload(variant, TEXT))

    deaths = 0
    for deaths in die_at_every_commit(tasks.import_keys, when=when, prepare=prepare):  # noqa: B007
        a_lease_later(monkeypatch)
        batch = KeyBatch.objects.get(pk=batches[-1].pk)
        assert (batch.state, batch.imported, batch.duplicates, batch.lines) == ("done", 9, 1, 10)
        assert left_out(batch) == [(10, "repeated")]
        assert counters(variant) == (9, 9, 0)
        assert CardKey.objects.count() == 9
        assert not KeyUpload.objects.exists()
        assert not OutboxMessage.objects.filter(done_at=None).exists()
        assert broken_invariants() == []
    assert deaths >= 5  # the lease, three chunks, the end of the promise


@both_sides
def test_an_undo_goes_on_where_the_last_commit_left_it(monkeypatch, when):
    variant = make_variant(keys=2)
    batches: list[KeyBatch] = []

    def prepare() -> None:
        batches.append(imported(variant, TEXT))
        begin_undo(batches[-1], now=NOON)

    deaths = 0
    for deaths in die_at_every_commit(tasks.undo_imports, when=when, prepare=prepare):  # noqa: B007
        a_lease_later(monkeypatch)
        batch = KeyBatch.objects.get(pk=batches[-1].pk)
        assert (batch.state, batch.undone) == ("undone", 9)
        assert counters(variant) == (2, 2, 0)
        assert broken_invariants() == []
    assert deaths >= 5


def test_control_without_a_place_to_go_on_from_lines_are_read_twice(monkeypatch):
    monkeypatch.setattr(running, "_comes_next", lambda upload, chunk: True)
    reads = running._reads

    def from_the_beginning(upload: KeyUpload, lines_before: int):
        upload.position = 0
        return reads(upload, 0)

    monkeypatch.setattr(running, "_reads", from_the_beginning)
    batch = upload(make_variant(), TEXT)

    assert dies(tasks.import_keys, at=3, when=AFTER)  # the lease, and two of three chunks
    a_lease_later(monkeypatch)

    batch.refresh_from_db()
    assert batch.duplicates > 1
