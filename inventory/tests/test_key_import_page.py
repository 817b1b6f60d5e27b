"""Keys go in through the import page and never come back out of any page."""

import csv
from datetime import timedelta
from io import StringIO

import pytest
from django.conf import settings as shop_settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils.timezone import localdate

from inventory.card_keys import reveal
from inventory.imports import spool
from inventory.models import CardKey, KeyBatch, KeyUpload
from tests.factories import counters, make_variant
from tests.staff import logged_in, make_boss, make_clerk
from tests.uploads import let_workers_work

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = "/admin/inventory/keybatch/import/"


@pytest.fixture
def boss():
    return logged_in(make_boss())


@pytest.fixture
def variant():
    return make_variant()


def send(client, variant, keys="", file=None, name="CANARY-name.txt", **more):
    data = {"variant": variant.pk, "keys": keys, "layout": "lines", "note": "", **more}
    if file is not None:
        data["file"] = SimpleUploadedFile(name, file, "text/plain")
    return client.post(PAGE, data, follow=True)


def import_through(client, variant, *args, **more):
    """What the batch's page says once the workers are done; it is only said that it waits before."""
    waiting = send(client, variant, *args, **more)
    assert "Waiting for its turn" in waiting.content.decode()
    let_workers_work()
    return client.get(waiting.redirect_chain[-1][0]).content.decode()


def stored() -> list[str]:
    return [reveal(key) for key in CardKey.objects.order_by("pk")]


def figures(page: str) -> list[str]:
    return [part.split("<")[0] for part in page.split('<dd class="live-value">')[1:]]


def test_the_address_with_the_high_limit_is_the_pages():
    assert shop_settings.IMPORT_PAGE == PAGE == reverse("admin:inventory_keybatch_import_keys")


def test_pasted_keys_are_imported_and_reported_by_number(boss, variant):
    page = import_through(boss, variant, "CANARY-1\r\n\r\nCANARY-2\nCANARY-1\n", note="from Lin")

    assert stored() == ["CANARY-1", "CANARY-2"]
    assert counters(variant) == (2, 2, 0)
    assert figures(page) == ["4", "2", "1", "0"]
    assert "CANARY" not in page
    assert KeyBatch.objects.get().imported_by == "boss"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_file_may_be_utf8_with_and_without_bom_or_gb18030(boss, variant, encoding):
    import_through(boss, variant, file="卡号一\r\n密码-2".encode(encoding))

    assert stored() == ["卡号一", "密码-2"]


def test_a_csv_with_headings_cost_and_expiry(boss, variant):
    tomorrow = localdate() + timedelta(days=1)
    csv_file = "备注,卡密\na,CANARY-1\nb,CANARY-2\n".encode("gb18030")
    terms = {"layout": "csv", "heading": "卡密", "unit_cost": "5.2", "expires_on": str(tomorrow)}

    page = import_through(boss, variant, file=csv_file, name="keys.CSV", **terms)

    assert stored() == ["CANARY-1", "CANARY-2"]
    batch = KeyBatch.objects.get()
    assert (batch.unit_cost_minor, batch.cost_currency, batch.expires_on) == (520, "CNY", tomorrow)
    assert "¥5.20" in page


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"file": b"a,b\nCANARY,x\n", "layout": "csv", "heading": "CANARY-2"}, "no column with this heading"),
        ({"file": b"CANARY,x\n", "name": "keys.csv"}, "This is a CSV file"),
        ({"keys": "CANARY", "heading": "x"}, "has columns with names"),
        ({"keys": "CANARY", "file": b"CANARY"}, "Either paste keys or choose a file"),
        ({"keys": "CANARY", "unit_cost": "5,2"}, "Enter an amount"),
        ({"keys": "CANARY", "expires_on": "2020-01-01"}, "This day is over"),
        ({"keys": "CANARY", "layout": "guess"}, "Select a valid choice"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words_and_nothing_stays(boss, variant, sent, said):
    page = send(boss, variant, **sent)

    assert page.status_code == 200
    assert said in page.content.decode()
    assert "CANARY</" not in page.content.decode()
    assert not KeyBatch.objects.exists()
    assert not KeyUpload.objects.exists()


@pytest.mark.parametrize(
    ("keys", "file"), [("", None), (" \n\t\r\n", None), ("\ufeff", None), ("", b""), ("", b"\n\n")]
)
def test_nothing_at_all_is_said_so(boss, variant, keys, file):
    page = send(boss, variant, keys, file)
    assert "not a single key" in page.content.decode()
    assert not KeyBatch.objects.exists()
    assert not KeyUpload.objects.exists()


@pytest.mark.parametrize(
    "garbage",
    [b"\x89PNG\r\n\x1a\n\0\0\0CANARY", "CANARY\n".encode("utf-16"), b"CANARY\xff\xfe\xff", bytes(range(256))],
)
def test_what_is_no_text_is_refused_without_a_word_of_it(boss, variant, garbage):
    page = send(boss, variant, file=garbage)
    assert page.status_code == 200
    assert "not a text file" in page.content.decode()
    assert "CANARY" not in page.content.decode()
    assert not KeyUpload.objects.exists()


def test_a_refused_form_does_not_show_what_was_pasted(boss):
    page = boss.post(PAGE, {"variant": "", "keys": "CANARY-1", "layout": "lines", "note": "x" * 121})
    assert page.status_code == 200
    assert "CANARY" not in page.content.decode()
    assert not CardKey.objects.exists()


def test_a_large_file_is_taken_here_and_more_than_the_limit_is_refused(boss, variant, settings):
    filler = (b" " * 1023 + b"\n") * 9 * 1024  # more than all other pages take
    assert figures(import_through(boss, variant, file=filler + b"CANARY"))[1] == "1"

    settings.IMPORT_FILE_LIMIT = 1024 * 1024
    settings.IMPORT_BODY_LIMIT = 2 * 1024 * 1024
    page = send(boss, variant, file=b"CANARY\n" * (1024 * 1024 // 7 + 1))
    assert "larger than 1 MB" in page.content.decode()
    assert send(boss, variant, file=filler).status_code == 413
    assert not KeyUpload.objects.exists()


def test_other_pages_keep_their_limit(boss):
    too_much = SimpleUploadedFile("x.txt", b"\n" * (9 * 1024 * 1024), "text/plain")
    assert boss.post("/admin/inventory/product/add/", {"file": too_much}).status_code == 413


def test_a_paste_that_is_too_long_is_refused_in_words(boss, variant, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    page = send(boss, variant, "CANARY\n" * 1000)
    assert page.status_code == 413
    assert "CANARY" not in page.content.decode()


def test_nothing_is_ever_put_on_the_disk_or_kept_whole(boss, variant, monkeypatch):
    def never(*args: object, **kwargs: object) -> None:
        raise AssertionError("a temporary file, or the whole in memory")

    for name in ("TemporaryUploadedFile", "InMemoryUploadedFile"):
        monkeypatch.setattr(f"django.core.files.uploadhandler.{name}", never)
    monkeypatch.setattr(spool, "CHUNK", 1000)
    assert figures(import_through(boss, variant, file=b"\n" * 5000 + b"CANARY"))[1] == "1"


def test_a_failure_on_the_way_tells_nothing_and_leaves_nothing(boss, variant, monkeypatch, capfd, caplog):
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr("inventory.key_import_page.accept", fail)
    boss.raise_request_exception = False
    for sent in ({"keys": "CANARY-1"}, {"file": b"CANARY-2"}):
        page = send(boss, variant, **sent)
        assert page.status_code == 500
        assert "CANARY" not in page.content.decode() + caplog.text + "".join(capfd.readouterr())
    assert not KeyUpload.objects.exists()


def test_it_needs_the_permission_and_a_token(variant, monkeypatch):
    written = []
    monkeypatch.setattr(spool.SpoolWriter, "write", lambda self, piece: written.append(piece))
    clerk = logged_in(make_clerk("inventory.view_keybatch"))
    assert clerk.get(PAGE).status_code == 403
    assert send(clerk, variant, file=b"CANARY-1").status_code == 403
    clerk.logout()
    assert send(clerk, variant, file=b"CANARY-1").redirect_chain[0][1] == 302
    assert written == []  # a stranger's file is not even read
    importer = make_clerk("inventory.view_keybatch", "inventory.add_keybatch", username="importer")
    assert logged_in(importer).get(PAGE).status_code == 200
    strict = logged_in(importer)
    strict.handler.enforce_csrf_checks = True
    assert strict.post(PAGE, {"variant": variant.pk, "keys": "CANARY-1"}).status_code == 403
    assert not CardKey.objects.exists()


def test_the_page_of_a_batch_that_moves_says_how_far_it_is_and_reloads(boss, variant):
    page = send(boss, variant, "CANARY-1\nCANARY-2").content.decode()
    batch = KeyBatch.objects.get()
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in page
    assert '<progress id="import-percent"' in page

    KeyUpload.objects.filter(batch=batch).update(position=9)
    numbers = boss.get(f"/admin/inventory/keybatch/{batch.pk}/progress/").json()
    assert (numbers["state"], numbers["percent"]) == ("queued", 52)
    let_workers_work()

    numbers = boss.get(f"/admin/inventory/keybatch/{batch.pk}/progress/").json()
    assert (numbers["state"], numbers["percent"]) == ("done", 100)
    page = boss.get(f"/admin/inventory/keybatch/{batch.pk}/change/").content.decode()
    assert "http-equiv" not in page
    assert "<progress" not in page


def test_lines_left_out_can_be_downloaded_by_number_and_reason(boss, variant):
    page = import_through(boss, variant, "CANARY-1\nCANARY-1\nbell\x07CANARY\n" + "x" * 2001)
    batch = KeyBatch.objects.get()
    address = f"/admin/inventory/keybatch/{batch.pk}/left-out/"
    assert address in page

    report = boss.get(address)

    text = b"".join(report.streaming_content).decode("utf-8-sig")
    assert list(csv.reader(StringIO(text))) == [
        ["line number", "reason"],
        ["2", "stands twice in what was imported"],
        ["3", "not plain text"],
        ["4", "too long"],
    ]
    assert logged_in(make_clerk()).get(address).status_code == 403


def test_an_import_is_undone_by_who_may_do_so(boss, variant):
    page = import_through(boss, variant, "CANARY-1\nCANARY-2")
    batch = KeyBatch.objects.get()
    address = f"/admin/inventory/keybatch/{batch.pk}/undo/"
    assert address in page
    viewer = logged_in(make_clerk("inventory.view_keybatch"))
    assert address not in viewer.get(f"/admin/inventory/keybatch/{batch.pk}/change/").content.decode()
    assert viewer.post(address).status_code == 403

    assert "Being undone" in boss.post(address, follow=True).content.decode()
    let_workers_work()

    page = boss.get(f"/admin/inventory/keybatch/{batch.pk}/change/").content.decode()
    assert "All of its keys are taken back." in page
    assert counters(variant) == (0, 0, 0)
    assert address not in page


def test_where_nothing_can_be_undone_that_is_said(boss, variant):
    import_through(boss, variant, "CANARY-1\nCANARY-2")
    variant.stocks.update(claimed=2)

    page = boss.post(f"/admin/inventory/keybatch/{KeyBatch.objects.get().pk}/undo/", follow=True)

    assert "Nothing of this import can be taken back" in page.content.decode()
    assert KeyBatch.objects.get().state == "done"


def test_keys_are_masked_wherever_they_are_listed(boss, variant, capfd, caplog):
    import_through(boss, variant, "CANARY-1\nCANARY-2")
    key = CardKey.objects.first()
    for address in (
        "/admin/inventory/cardkey/",
        f"/admin/inventory/cardkey/{key.pk}/change/",
        "/admin/inventory/keybatch/",
        f"/admin/inventory/keybatch/{key.batch_id}/change/",
        f"/admin/inventory/variant/{variant.pk}/change/",
        "/admin/inventory/cardkey/?q=CANARY",
    ):
        page = boss.get(address)
        assert page.status_code == 200, address
        for secret in ("CANARY-1", bytes(key.fingerprint).hex(), bytes(key.sealed).hex(), str(key.uid)):
            assert secret not in page.content.decode()
    assert f"•••• ({key.pk})" in boss.get("/admin/inventory/cardkey/").content.decode()
    assert "CANARY" not in caplog.text + "".join(capfd.readouterr())
