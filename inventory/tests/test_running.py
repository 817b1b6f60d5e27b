"""An upload becomes a batch, chunk by chunk."""

from datetime import date

import pytest
from django.db import connection

from cardshop.outbox.models import OutboxMessage
from inventory import tasks
from inventory.card_keys import reveal
from inventory.imports import import_keys, running
from inventory.imports.reading import NoSuchColumn
from inventory.models import CardKey, KeyBatch, KeyUpload, LeftOutLine
from inventory.withdrawing import void_free_keys
from tests.factories import NOON, counters, make_shop, make_variant
from tests.race.racing import broken_invariants
from tests.uploads import imported, left_out, let_workers_work, upload

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(running, "CHUNK_LINES", 3)


def stored() -> list[str]:
    return [reveal(key) for key in CardKey.objects.order_by("pk")]


def test_an_upload_becomes_keys_in_its_order_and_is_gone_then():
    variant = make_variant()

    batch = imported(variant, "\n".join(f"K{number}" for number in range(10)), note="spring")

    assert (batch.state, batch.imported, batch.lines) == ("done", 10, 10)
    assert stored() == [f"K{number}" for number in range(10)]
    assert counters(variant) == (10, 10, 0)
    assert not KeyUpload.objects.exists()
    assert not OutboxMessage.objects.filter(done_at=None).exists()
    assert broken_invariants() == []


def test_every_line_left_out_is_named_with_its_reason():
    import_keys(variant=make_variant(), lines=["OLD"], imported_by="lin", now=NOON)

    batch = imported(make_variant(), "A\nA\n\nbell\x07\nB\nC\nA\nOLD\n" + "x" * 3000 + "\nOLD\nD")

    assert stored() == ["OLD", "A", "B", "C", "D"]
    assert left_out(batch) == [
        (2, "repeated"),
        (4, "not_text"),
        (7, "repeated"),
        (8, "known"),
        (9, "too_long"),
        (10, "known"),
    ]
    assert (batch.imported, batch.duplicates, batch.refused, batch.lines) == (4, 4, 2, 11)


def test_no_more_lines_are_named_than_can_be_looked_at(monkeypatch):
    monkeypatch.setattr(running, "MOST_NAMED", 5)

    batch = imported(make_variant(), "A\n" * 20)

    assert (batch.duplicates, LeftOutLine.objects.count()) == (19, 5)


def test_a_column_of_a_csv_with_cost_and_expiry():
    batch = imported(
        make_variant(),
        '备注,卡密\nx,"A,1"\ny,B\nz\nw,C\nv,D'.encode("gb18030"),
        layout="csv",
        heading="卡密",
        unit_cost_minor=520,
        cost_currency="CNY",
        expires_on=date(2027, 1, 31),
    )

    assert stored() == ["A,1", "B", "C", "D"]
    assert set(CardKey.objects.values_list("expires_on", flat=True)) == {date(2027, 1, 31)}
    assert (batch.unit_cost_minor, batch.cost_currency, batch.lines) == (520, "CNY", 6)


def test_a_column_that_is_not_there_is_refused_at_once():
    with pytest.raises(NoSuchColumn):
        upload(make_variant(), "a,b\nc,d", layout="csv", heading="e")
    assert not KeyBatch.objects.exists()


def test_headings_alone_are_no_keys():
    batch = imported(make_variant(), "key,note\n", layout="csv")

    assert (batch.state, batch.failure) == ("failed", "empty")
    assert broken_invariants() == []


def test_what_takes_longer_than_a_run_goes_on_in_the_next(monkeypatch):
    monkeypatch.setattr(running, "RUN", -1.0)  # one chunk each
    batch = upload(make_variant(), "A\nB\nC\nD\nE\nF\nG\n")
    monkeypatch.setattr("cardshop.outbox.services.RUN", -1.0)

    tasks.import_keys()
    assert stored() == []  # no time at all
    monkeypatch.setattr("cardshop.outbox.services.RUN", 10.0)
    running.import_batches([batch.pk], NOON)
    batch.refresh_from_db()
    assert (batch.state, batch.imported, batch.upload.position) == ("running", 3, 6)
    let_workers_work()

    batch.refresh_from_db()
    assert (batch.state, batch.imported, batch.duplicates) == ("done", 7, 0)


def test_an_import_that_was_stopped_is_not_gone_on_with():
    batch = upload(make_variant(), "A\nB\nC\nD\n")
    KeyBatch.objects.filter(pk=batch.pk).update(state="undoing")

    assert running.import_for_a_while(batch.pk)
    assert stored() == []


def test_shops_have_keys_of_their_own_and_void_ones_may_come_again():
    variant = make_variant()
    assert imported(variant, "A\nB").imported == 2
    assert imported(make_variant(shop=make_shop("elsewhere")), "A\nB").imported == 2
    CardKey.objects.filter(variant=variant).update(status="void")
    assert imported(variant, "A\nB").imported == 2


def test_where_waves_open_what_is_for_sale_new_keys_stay_closed():
    variant = make_variant(sells_in_waves=True)

    imported(variant, "A\nB\nC\nD")

    assert counters(variant) == (4, 0, 0)


def test_looking_keys_up_and_picking_them_reads_an_index():
    variant = make_variant()
    imported(variant, "\n".join(f"K{number}" for number in range(200)))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE inventory_cardkey")
        cursor.execute("SET enable_seqscan = off")
        cursor.execute(
            "EXPLAIN SELECT id FROM inventory_cardkey WHERE variant_id = %s AND status = 'available'"
            " ORDER BY expires_on, id LIMIT 3 FOR UPDATE SKIP LOCKED",
            [variant.pk],
        )
        plan = "\n".join(row for (row,) in cursor.fetchall())
        cursor.execute("RESET enable_seqscan")
    assert "cardkey_by_expiry" in plan
    assert "Sort" not in plan


def test_of_a_batch_that_is_taken_out_of_sale_no_more_comes_in(monkeypatch):
    monkeypatch.setattr(running, "RUN", 0)  # a chunk and no more
    variant = make_variant()
    batch = upload(variant, "\n".join(f"K{number}" for number in range(10)))
    assert not running.import_for_a_while(batch.pk)
    assert counters(variant) == (3, 3, 0)

    void_free_keys(batch, NOON)
    let_workers_work()

    batch.refresh_from_db()
    assert (batch.state, batch.failure, batch.imported) == ("failed", "withdrawn", 3)
    assert counters(variant) == (0, 0, 0)
    assert not KeyUpload.objects.exists()
    assert broken_invariants() == []
