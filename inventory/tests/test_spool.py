"""What was uploaded waits sealed, and comes out whole or not at all."""

from datetime import timedelta

import pytest
from django.db import connection

from cardshop.common.crypto import CannotOpen
from inventory.imports import spool
from inventory.imports.spool import ORPHAN_AFTER, Blank, NotText, SpoolWriter, read_upload, sweep_orphans
from inventory.models import CardKey, KeyUpload, UploadChunk
from tests.factories import NOON, make_variant
from tests.uploads import let_workers_work, upload

pytestmark = pytest.mark.django_db(transaction=True)

TEXT = b"".join(b"CANARY-%06d\n" % number for number in range(40))
CHUNK = 100


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(spool, "CHUNK", CHUNK)


def spooled(text: bytes = TEXT) -> KeyUpload:
    writer = SpoolWriter(now=NOON)
    for at in range(0, len(text), 37):
        writer.write(text[at : at + 37])
    return writer.close()


@pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, len(TEXT)])
def test_what_went_in_comes_out_from_any_place_on(size):
    upload = spooled(TEXT[:size])

    assert (upload.size, upload.chunk_count) == (size, -(-size // CHUNK))
    for position in range(0, size, 30):
        assert b"".join(read_upload(upload, position)) == TEXT[position:size]


def test_no_column_holds_any_of_it_in_clear():
    spooled()

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT row_to_json(u)::text || encode(u.sealed_key, 'escape') || c.number"
            " || encode(c.sealed, 'escape') FROM inventory_keyupload u"
            " JOIN inventory_uploadchunk c ON c.upload_id = u.id"
        )
        rows = [row for (row,) in cursor.fetchall()]
    assert len(rows) == 6
    assert not any("CANARY" in row for row in rows)


def cut_off(upload: KeyUpload) -> None:
    UploadChunk.objects.filter(upload=upload, number=5).delete()
    KeyUpload.objects.filter(pk=upload.pk).update(chunk_count=5)


def lose_one(upload: KeyUpload) -> None:
    UploadChunk.objects.filter(upload=upload, number=2).delete()


def reorder(upload: KeyUpload) -> None:
    for number, becomes in ((1, 99), (2, 1), (99, 2)):
        UploadChunk.objects.filter(upload=upload, number=number).update(number=becomes)


def alter(upload: KeyUpload) -> None:
    chunk = UploadChunk.objects.get(upload=upload, number=3)
    chunk.sealed = bytes(chunk.sealed)[:-1] + bytes([bytes(chunk.sealed)[-1] ^ 1])
    chunk.save()


def swap_with_another(upload: KeyUpload) -> None:
    foreign = UploadChunk.objects.get(upload=spooled(), number=4)
    UploadChunk.objects.filter(upload=upload, number=4).update(sealed=foreign.sealed)


def take_anothers_key(upload: KeyUpload) -> None:
    KeyUpload.objects.filter(pk=upload.pk).update(sealed_key=spooled().sealed_key)


HARM = [cut_off, lose_one, reorder, alter, swap_with_another, take_anothers_key]


@pytest.mark.parametrize("harm", HARM)
def test_what_was_tampered_with_is_refused(harm):
    upload = spooled()
    harm(upload)
    upload.refresh_from_db()

    with pytest.raises(CannotOpen) as raised:
        list(read_upload(upload))
    assert "CANARY" not in str(raised.value)


@pytest.mark.parametrize("harm", HARM)
def test_its_import_fails_with_clear_words_and_leaves_no_upload(harm, capfd, caplog):
    batch = upload(make_variant(), TEXT)
    harm(batch.upload)

    let_workers_work()

    batch.refresh_from_db()
    assert (batch.state, batch.failure) == ("failed", "cannot_open")
    assert batch.imported == CardKey.objects.count() < 40
    assert not KeyUpload.objects.filter(batch=batch).exists()
    assert "CANARY" not in caplog.text + "".join(capfd.readouterr())


@pytest.mark.parametrize(("text", "problem"), [(b"\n \r\n", Blank), (b"", Blank), (b"CANARY\0", NotText)])
def test_of_what_is_no_list_of_keys_nothing_stays(text, problem):
    with pytest.raises(problem):
        spooled(text)
    assert not KeyUpload.objects.exists()


def test_what_was_never_accepted_is_swept_and_nothing_else():
    abandoned, accepted = spooled(), upload(make_variant(), TEXT).upload
    SpoolWriter(now=NOON).write(TEXT)  # and then its process died

    assert sweep_orphans(NOON + ORPHAN_AFTER) == 0
    assert sweep_orphans(NOON + ORPHAN_AFTER + timedelta(seconds=1)) == 2

    assert list(KeyUpload.objects.all()) == [accepted]
    assert not UploadChunk.objects.filter(upload_id=abandoned.pk).exists()


def test_control_without_the_last_mark_an_upload_that_is_cut_off_is_believed(monkeypatch):
    monkeypatch.setattr("cardshop.common.sealed_chunks._place", lambda number, _last: b"chunk:%d" % number)
    upload = spooled()
    cut_off(upload)
    upload.refresh_from_db()

    assert b"".join(read_upload(upload)) == TEXT[: 5 * CHUNK]
