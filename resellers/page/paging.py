"""Lists with the newest first, a page at a time: what comes before the last row that was seen."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest

Row = TypeVar("Row", bound=Model)
SHOWN = 25


@dataclass(frozen=True)
class Page(Generic[Row]):
    """`before` is what the next older page is asked for with; None where there is none."""

    rows: list[Row]
    before: int | None
    is_first: bool


def page_of(request: HttpRequest, rows: QuerySet[Row], *, by: str = "pk") -> Page[Row]:
    """By a number that grows from row to row."""
    asked: dict[str, Any] = {}
    before = request.GET.get("before", "")
    if before.isascii() and before.isdigit() and len(before) <= 18:
        asked = {f"{by}__lt": int(before)}
    found = list(rows.filter(**asked).order_by(f"-{by}")[: SHOWN + 1])
    shown = found[:SHOWN]
    last = getattr(shown[-1], by) if len(found) > SHOWN else None
    return Page(shown, last, not asked)
