"""`manage.py import_keys`, for scripts: the same importer, in the foreground."""

from datetime import date
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils.translation import override

from inventory.card_keys import reveal
from inventory.imports import running
from inventory.models import CardKey, KeyBatch, KeyUpload
from tests.factories import counters, make_shop, make_variant

pytestmark = pytest.mark.django_db(transaction=True)


def run(tmp_path, content: str | bytes, *arguments: str) -> str:
    file, said = tmp_path / "keys", StringIO()
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    call_command("import_keys", "coins", str(file), *arguments, stdout=said)
    return said.getvalue()


def test_a_file_is_imported_to_its_end(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(running, "CHUNK_LINES", 2)
    variant = make_variant(code="coins")

    said = run(tmp_path, "\ufeffA\nB\nA\n\nbell\x07\nC\n", "--note", "spring")

    assert said == "3 imported, 1 duplicates, 1 refused\n"
    assert capsys.readouterr().err == "line 3: repeated\nline 5: not_text\n"
    assert counters(variant) == (3, 3, 0)
    assert KeyBatch.objects.get().note == "spring"


def test_a_column_of_a_csv_with_its_last_day(tmp_path):
    make_variant(code="coins")

    run(tmp_path, "备注,卡密\nx,A\ny,B\n".encode("gb18030"), "--column", "卡密", "--expires", "2030-01-31")

    assert [reveal(key) for key in CardKey.objects.order_by("pk")] == ["A", "B"]
    assert set(CardKey.objects.values_list("expires_on", flat=True)) == {date(2030, 1, 31)}


@pytest.mark.parametrize(
    ("content", "arguments", "said"),
    [
        ("\n \n", [], "not a single key"),
        (b"CANARY\0", [], "not a text file"),
        ("key\nCANARY\n", ["--column", "other"], "no column with this heading"),
        ("key\n", ["--csv"], "not a single key"),
        ("CANARY\n", ["--expires", "2020-01-31"], "a day that is over"),
    ],
)
def test_what_cannot_be_imported_is_said_and_leaves_no_upload(tmp_path, content, arguments, said):
    make_variant(code="coins")

    with override("en"), pytest.raises(CommandError) as refused:
        run(tmp_path, content, *arguments)

    with override("en"):
        assert said in str(refused.value)
        assert "CANARY" not in str(refused.value)
    assert not KeyUpload.objects.exists()


def test_a_code_that_two_shops_have_wants_the_shop_named(tmp_path):
    make_variant(code="coins")
    variant = make_variant(code="coins", shop=make_shop("elsewhere"))
    with pytest.raises(CommandError, match="name the --shop"):
        run(tmp_path, "A")

    run(tmp_path, "A", "--shop", "elsewhere")

    assert counters(variant) == (1, 1, 0)
