"""Lines and columns out of bytes, wherever the stream is cut."""

import csv
from io import StringIO

import pytest

from inventory.imports.reading import LONGEST_LINE, NoSuchColumn, Sniffer, Table, read_lines, read_rows
from inventory.models import Layout

LINES = "卡号一\r\n\n  B\rC\u2028still C\n最后"
HEADED = '备注,卡密\n"半,半","AAA,""1"""\nshort\n,"BBB\nin two lines"\nx,CCC\n'


def texts(data: bytes, *, piece: int = 1 << 20, encoding: str = "utf-8", position=0, lines_before=0):
    pieces = [data[at : at + piece] for at in range(position, len(data), piece)]
    return list(read_lines(pieces, encoding=encoding, position=position, lines_before=lines_before))


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_lines_are_those_that_text_files_have_in_every_encoding_and_however_it_comes(encoding):
    data = LINES.encode(encoding)
    wanted = [line.strip() for line in StringIO(LINES, newline=None)]

    for piece in (1, 2, 3, 7, 100):
        read = texts(data, piece=piece, encoding=encoding)
        assert [line.text.strip() for line in read] == wanted
        assert [line.number for line in read] == [1, 2, 3, 4, 5]
        assert read[-1].end == len(data)


def test_after_any_line_one_can_go_on():
    data = LINES.encode()
    whole = texts(data)

    for at, line in enumerate(whole):
        assert texts(data, position=line.end, lines_before=line.lines) == whole[at + 1 :]


def test_a_mark_at_the_beginning_is_no_part_of_the_first_line():
    assert [line.text for line in texts("\ufeffA\n\ufeffB".encode())] == ["A\n", "\ufeffB"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_what_is_too_long_is_not_kept_and_ends_where_it_ends(end):
    data = end.join([b"A", b"x" * (3 * LONGEST_LINE), b"B"])

    read = texts(data, piece=1000)

    assert [line.text and line.text.strip() for line in read] == ["A", None, "B"]
    assert read[-1].end == len(data)


def rows(data: bytes, *, layout=Layout.CSV, heading="", piece=1 << 20):
    table = Table.of(iter(texts(data)), layout=layout, heading=heading)
    lines = texts(data, piece=piece, position=table.begins, lines_before=table.lines)
    return list(read_rows(iter(lines), table))


def test_a_column_is_found_by_its_heading():
    read = rows(HEADED.encode(), heading=" 卡密 ")

    assert [(row.number, row.text) for row in read] == [
        (2, 'AAA,"1"'),
        (3, ""),
        (4, "BBB\nin two lines"),
        (6, "CCC"),
    ]
    assert (read[-1].lines, read[-1].end) == (6, len(HEADED.encode()))


def test_rows_are_those_that_csv_itself_finds_however_they_come():
    wanted = [row[1] if len(row) > 1 else "" for row in csv.reader(StringIO(HEADED, newline=""))][1:]

    for piece in (1, 2, 5):
        assert [row.text for row in rows(HEADED.encode(), heading="卡密", piece=piece)] == wanted


def test_after_any_row_one_can_go_on():
    data = HEADED.encode()
    table = Table.of(iter(texts(data)), layout=Layout.CSV, heading="卡密")
    whole = rows(data, heading="卡密")

    for at, row in enumerate(whole):
        lines = texts(data, position=row.end, lines_before=row.lines)
        assert list(read_rows(iter(lines), table)) == whole[at + 1 :]


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_the_headings_tell_what_separates_columns(delimiter):
    data = f"\ufeffkey{delimiter}note\nAAA{delimiter}x\n".encode()

    assert [row.text for row in rows(data)] == ["AAA"]
    assert [row.text for row in rows(data, heading="NOTE")] == ["x"]


def test_blank_lines_before_the_headings_are_no_headings():
    data = "\ufeff\r\n \n卡密,备注\nAAA,x\n".encode()

    assert [(row.number, row.text) for row in rows(data)] == [(4, "AAA")]
    assert [row.text for row in rows(data, heading="备注")] == ["x"]


def test_without_headings_only_a_comma_does():
    read = rows(b"AAA;1,x\nBBB\t2,y\n", layout=Layout.BARE_CSV)

    assert [(row.number, row.text) for row in read] == [(1, "AAA;1"), (2, "BBB\t2")]


def test_a_heading_that_is_not_there_is_said_without_those_that_are():
    with pytest.raises(NoSuchColumn) as raised:
        rows(b"CANARY-1,CANARY-2\nA,B\n", heading="CANARY-3")
    assert "CANARY" not in repr(raised.value)


def test_a_quote_that_is_never_closed_costs_what_it_takes_in_and_no_more():
    swallowed = b'"open\n' + b"S\n" * 70_000
    read = rows(b"key\nA\n" + swallowed + b"B\n" * 3)

    assert [read[0].text, read[1].text] == ["A", None]
    assert [row.text for row in read[-3:]] == ["B", "B", "B"]
    assert len(read) < 10_000


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"plain", "utf-8"),
        ("卡".encode(), "utf-8"),
        ("卡".encode("gb18030"), "gb18030"),
        (b"\x89PNG\r\n\x1a\n\0", None),
        (b"CANARY\xff\xfe\xff", None),
        ("卡".encode("gb18030")[:1], None),
    ],
)
def test_an_encoding_is_told_from_the_whole(data, encoding):
    for piece in (1, 2, 100):
        sniffer = Sniffer()
        for at in range(0, len(data), piece):
            sniffer.see(data[at : at + piece])
        assert sniffer.encoding() == encoding


@pytest.mark.parametrize(("data", "blank"), [(b"", True), ("\ufeff \r\n".encode(), True), (b"\n x", False)])
def test_blank_is_what_holds_nothing(data, blank):
    sniffer = Sniffer()
    sniffer.see(data)
    assert sniffer.is_blank is blank
