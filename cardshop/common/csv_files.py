"""Tables as CSV files, streamed, that spreadsheets open as what they are: text in UTF-8 and no formulas."""

import csv
from collections.abc import Iterable, Iterator, Sequence

from django.http import StreamingHttpResponse

CONTENT_TYPE = "text/csv; charset=utf-8"
_MARK = "\ufeff"  # spreadsheets take it for UTF-8 then
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def csv_file(
    name: str, head: Sequence[str], rows: Iterable[Sequence[object]], *, mark: bool = True
) -> StreamingHttpResponse:
    """A download. What others have entered has to be `harmless`. `mark` is for people's spreadsheets."""
    response = StreamingHttpResponse(_lines(head, rows, mark), content_type=CONTENT_TYPE)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response


def harmless(text: str) -> str:
    """Spreadsheets would take what begins so for a formula."""
    return f"'{text}" if text.startswith(_FORMULAS) else text


class _Echo:
    def write(self, line: str) -> str:
        return line


def _lines(head: Sequence[str], rows: Iterable[Sequence[object]], mark: bool) -> Iterator[str]:
    write = csv.writer(_Echo()).writerow
    yield (_MARK if mark else "") + write(head)
    for row in rows:
        yield write(row)
