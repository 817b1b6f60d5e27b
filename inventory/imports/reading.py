"""Lines out of a stream of bytes: in which encoding, of one key a line or of CSV, and from where on.

Everything that ends a line or a field is ASCII, and in UTF-8 and GB18030 no byte of another character
is the same. So lines are cut as bytes, and a place between two lines is a place to go on from.
"""

import codecs
import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from inventory.models import Layout

LONGEST_LINE = 64 * 1024  # bytes; what is longer is not kept while its end is looked for
ENCODINGS = ("utf-8", "gb18030")
_DELIMITERS = (",", "\t", ";")


class NoSuchColumn(Exception):
    """The first row has no such heading. Says neither which was wanted nor which there are."""


class Read(NamedTuple):
    """A line, or a row of a CSV, which may take several. `text` is None if it is too long to be read.

    `number` is its first line's, counted from 1. After it, `lines` lines and `end` bytes are read.
    """

    number: int
    text: str | None
    lines: int
    end: int


class Sniffer:
    """Tells the encoding of a text that passes by in pieces."""

    def __init__(self) -> None:
        self._possible = {name: codecs.getincrementaldecoder(name)() for name in ENCODINGS}
        self.is_blank = True

    def see(self, piece: bytes) -> None:
        self.is_blank = self.is_blank and not piece.strip(b" \t\r\n" + codecs.BOM_UTF8)
        if b"\0" in piece:
            self._possible.clear()
        self._decode(piece)

    def encoding(self) -> str | None:
        """To be asked at the end; None: it is no text."""
        self._decode(b"", final=True)
        return next(iter(self._possible), None)

    def _decode(self, piece: bytes, *, final: bool = False) -> None:
        for name, decoder in list(self._possible.items()):
            if piece.isascii() and not final and not decoder.getstate()[0]:
                continue
            try:
                decoder.decode(piece, final)
            except UnicodeDecodeError:
                del self._possible[name]


def read_lines(
    stream: Iterable[bytes], *, encoding: str, position: int = 0, lines_before: int = 0
) -> Iterator[Read]:
    """The lines of `stream`, which goes on at `position`, after so many lines."""
    number = lines_before
    for raw, size in _cut(stream):
        text = None if raw is None else _decoded(raw, encoding)
        if position == 0 and text is not None:
            text = text.removeprefix("\ufeff")
        number += 1
        position += size
        yield Read(number, text, number, position)


@dataclass(frozen=True)
class Table:
    """Which column of a CSV has the keys. The headings take `begins` bytes, which are `lines` lines."""

    delimiter: str
    column: int
    begins: int = 0
    lines: int = 0

    @classmethod
    def of(cls, lines: Iterator[Read], *, layout: str, heading: str) -> "Table":
        """`lines` are those of the text from its beginning. Without a `heading` it is the first column.

        Where there are headings, a comma, a tab or a semicolon separates columns, whichever the first line
        has; without them it is a comma, since the others may belong to a key. Raises NoSuchColumn.
        """
        if layout == Layout.BARE_CSV:
            return cls(",", 0)
        for first in lines:
            if first.text is not None and not first.text.strip():
                continue  # else the headings behind it would be taken for a key
            delimiter = next((each for each in _DELIMITERS if each in (first.text or "")), ",")
            for names, read in _rows(chain([first], lines), delimiter):
                found = [name.strip().casefold() for name in names or []]
                if heading and heading.strip().casefold() not in found:
                    raise NoSuchColumn
                column = found.index(heading.strip().casefold()) if heading else 0
                return cls(delimiter, column, read.end, read.lines)
        raise NoSuchColumn


def read_rows(lines: Iterator[Read], table: Table) -> Iterator[Read]:
    """What the table's column has in the rows that `lines` make; empty where a row has no such column."""
    for row, read in _rows(lines, table.delimiter):
        if row is None:
            yield read
        else:
            yield read._replace(text=row[table.column] if table.column < len(row) else "")


def _rows(lines: Iterator[Read], delimiter: str) -> Iterator[tuple[list[str] | None, Read]]:
    """Each row, None if it is too long, with the place that it takes."""
    taken: list[Read] = []

    def texts() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            yield line.text or ""

    reader = csv.reader(texts(), delimiter=delimiter)
    while True:
        taken.clear()
        row: list[str] | None
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:  # a quote that is never closed takes in what follows, up to the module's limit
            row = None
        if any(line.text is None for line in taken):
            row = None
        yield row, taken[-1]._replace(number=taken[0].number, text=None)


def _cut(stream: Iterable[bytes]) -> Iterator[tuple[bytes | None, int]]:
    """Lines with their ends, None for those that are too long, each with how many bytes it takes."""
    rest, forgotten = b"", 0
    for piece in stream:
        lines = (rest + piece).splitlines(keepends=True)
        # The last one may go on, and after a carriage return its line feed may follow.
        rest = b"" if lines and lines[-1].endswith(b"\n") else lines.pop() if lines else b""
        for line in lines:
            too_long = forgotten + len(line) > LONGEST_LINE
            yield None if too_long else line, forgotten + len(line)
            forgotten = 0
        if len(rest) > LONGEST_LINE:
            kept = rest[-1:] if rest.endswith(b"\r") else b""
            forgotten += len(rest) - len(kept)
            rest = kept
    if rest or forgotten:
        yield None if forgotten else rest, forgotten + len(rest)


def _decoded(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:  # which carries what stands there
        return "\0"
