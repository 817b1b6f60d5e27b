"""What went wrong at a supplier is told in the language of whoever reads it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils.translation import override

from suppliers import saying
from suppliers.saying import in_words

ROOM = Path(saying.__file__).parent
ERRORS = {"NotNow", "Unclear", "Silent"}


def told_outright() -> Iterator[str]:
    """The sentences that stand in the code where an error is raised."""
    for path in [*ROOM.glob("*.py"), *ROOM.glob("drivers/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS:
                yield from (each.value for each in node.args if isinstance(each, ast.Constant))


def test_every_sentence_of_ours_is_known_in_chinese():
    sentences = {*told_outright(), *saying._SENTENCES}

    assert len(sentences) > 12
    with override("zh-hans"):
        assert [said for said in sentences if in_words(said).isascii()] == []


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("A-1 (B2): 700 by our books, 1400 paid by theirs", "A-1 (B2)：我方账上 700，对方账上已付 1400"),
        ("B2: nothing by our books, 700 paid by theirs", "B2：我方账上没有，对方账上已付 700"),
        ("it answered 401 not_authenticated", "对方回答 401 not_authenticated"),
        ("ConnectError", "ConnectError"),
        ("and 3 more\nno answer in time", "另有 3 条\n未在规定时间内应答"),
    ],
)
def test_what_was_written_down_keeps_its_numbers(written, read):
    with override("zh-hans"):
        assert in_words(written) == read
    with override("en"):
        assert in_words(written) == written
