"""Keys go in through the import page and never come back out of any page."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from inventory.card_keys import reveal
from inventory.models import CardKey, KeyBatch
from tests.factories import counters, make_variant
from tests.staff import logged_in, make_boss, make_clerk

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = "/admin/inventory/keybatch/import/"


@pytest.fixture
def boss():
    return logged_in(make_boss())


@pytest.fixture
def variant():
    return make_variant()


def send(client, variant, keys="", file=None, **more):
    data = {"variant": variant.pk, "keys": keys, "note": "", **more}
    if file is not None:
        data["file"] = SimpleUploadedFile("CANARY-name.txt", file, "text/plain")
    return client.post(PAGE, data, follow=True)


def stored() -> list[str]:
    return [reveal(key) for key in CardKey.objects.order_by("pk")]


def test_pasted_keys_are_imported_and_reported_by_number(boss, variant):
    page = send(boss, variant, "CANARY-1\r\n\r\nCANARY-2\nCANARY-1\n", note="from Lin").content.decode()
    assert stored() == ["CANARY-1", "CANARY-2"]
    assert counters(variant) == (2, 2, 0)
    assert "2 keys imported" in page
    assert "1 lines left out as duplicates: 4" in page
    assert "CANARY" not in page
    assert KeyBatch.objects.get().imported_by == "boss"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_file_may_be_utf8_with_and_without_bom_or_gb18030(boss, variant, encoding):
    assert "2 keys imported" in send(boss, variant, file="卡号一\r\n密码-2".encode(encoding)).content.decode()
    assert stored() == ["卡号一", "密码-2"]


def test_paste_and_file_together_count_their_lines_apart(boss, variant):
    page = send(boss, variant, "CANARY-1\nCANARY-2", file=b"CANARY-3\nCANARY-1\n").content.decode()
    assert stored() == ["CANARY-1", "CANARY-2", "CANARY-3"]
    assert "duplicates: file 2" in page


def test_lines_that_cannot_be_keys_are_refused_by_number(boss, variant):
    page = send(boss, variant, "CANARY-1\nbell\x07CANARY\n" + "x" * 2001).content.decode()
    assert "2 lines refused as too long or not plain text: 2, 3" in page
    assert "CANARY" not in page


def test_only_the_first_hundred_lines_are_named(boss, variant):
    page = send(boss, variant, "A\n" * 150).content.decode()
    assert "149 lines left out as duplicates: 2, 3" in page
    assert "101 …" in page
    assert "102" not in page


@pytest.mark.parametrize(
    ("keys", "file"), [("", None), (" \n\t\r\n", None), ("", b""), ("", b"\n\n"), ("", "\ufeff".encode())]
)
def test_nothing_at_all_is_said_so(boss, variant, keys, file):
    page = send(boss, variant, keys, file)
    assert "not a single key" in page.content.decode()
    assert not KeyBatch.objects.exists()


@pytest.mark.parametrize(
    "garbage",
    [b"\x89PNG\r\n\x1a\n\0\0\0CANARY", "CANARY\n".encode("utf-16"), b"CANARY\xff\xfe\xff", bytes(range(256))],
)
def test_what_is_no_text_is_refused_without_a_word_of_it(boss, variant, garbage):
    page = send(boss, variant, file=garbage)
    assert page.status_code == 200
    assert "not a text file" in page.content.decode()
    assert "CANARY" not in page.content.decode()
    assert not KeyBatch.objects.exists()


def test_a_refused_form_does_not_show_what_was_pasted(boss, variant):
    page = boss.post(PAGE, {"variant": "", "keys": "CANARY-1", "note": "x" * 121})
    assert page.status_code == 200
    assert "CANARY" not in page.content.decode()
    assert not CardKey.objects.exists()


def test_more_than_the_limit_is_refused_unread(boss, variant):
    page = send(boss, variant, file=b"CANARY\n" * (8 * 1024 * 1024 // 7 + 1))
    assert page.status_code == 413
    assert "CANARY" not in page.content.decode()
    assert not KeyBatch.objects.exists()


def test_a_file_over_seven_megabytes_is_refused_with_the_limit(boss, variant):
    assert "at most 7 MB" in boss.get(PAGE).content.decode()
    page = send(boss, variant, file=b"CANARY" + b"\n" * (7 * 1024 * 1024 - 5))
    assert page.status_code == 200
    assert "larger than 7 MB" in page.content.decode()
    assert not KeyBatch.objects.exists()
    assert (
        "1 key imported"
        in send(boss, variant, file=b"CANARY" + b"\n" * (7 * 1024 * 1024 - 6)).content.decode()
    )


def test_a_large_file_within_the_limit_is_not_spooled_to_disk(boss, variant, monkeypatch):
    def no_disk(*args: object, **kwargs: object) -> None:
        raise AssertionError("a temporary file was opened")

    monkeypatch.setattr("django.core.files.uploadedfile.TemporaryUploadedFile.__init__", no_disk)
    filler = b"\n" * (4 * 1024 * 1024)
    assert "1 key imported" in send(boss, variant, file=filler + b"CANARY").content.decode()


def test_a_failure_on_the_way_tells_nothing(boss, variant, monkeypatch, capfd, caplog):
    def fail(**kwargs: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr("inventory.key_import_page.import_keys", fail)
    boss.raise_request_exception = False
    page = send(boss, variant, "CANARY-1", file=b"CANARY-2")
    assert page.status_code == 500
    assert "CANARY" not in page.content.decode() + caplog.text + "".join(capfd.readouterr())


def test_it_needs_the_permission_and_a_token(variant):
    clerk = logged_in(make_clerk("inventory.view_keybatch"))
    assert clerk.get(PAGE).status_code == 403
    assert send(clerk, variant, "CANARY-1").status_code == 403
    importer = make_clerk("inventory.view_keybatch", "inventory.add_keybatch", username="importer")
    assert logged_in(importer).get(PAGE).status_code == 200
    strict = logged_in(importer)
    strict.handler.enforce_csrf_checks = True
    assert strict.post(PAGE, {"variant": variant.pk, "keys": "CANARY-1"}).status_code == 403
    assert not CardKey.objects.exists()


def test_keys_are_masked_wherever_they_are_listed(boss, variant, capfd, caplog):
    send(boss, variant, "CANARY-1\nCANARY-2")
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
