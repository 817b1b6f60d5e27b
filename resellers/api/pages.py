"""Pages by cursor: what comes after the last row that was seen, so nothing is missed or told twice."""

from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from rest_framework import serializers
from rest_framework.request import Request

from cardshop.common.api import StrictSerializer

Row = TypeVar("Row", bound=Model)
MOST = 200


class PageInput(StrictSerializer):
    after = serializers.RegexField(
        r"^[0-9]{1,18}$", required=False, default="0", help_text="`next` of the page before."
    )
    limit = serializers.IntegerField(min_value=1, max_value=MOST, required=False, default=50)


@dataclass(frozen=True)
class Page:
    """At most `limit` rows, of those behind the row with the number `after`."""

    after: int
    limit: int


def page_asked_for(request: Request) -> Page:
    """Raises ValidationError."""
    return page_of(request, PageInput)[0]


def page_of(request: Request, form: type[PageInput]) -> tuple[Page, dict[str, Any]]:
    """The page, and what else was asked in the query. Raises ValidationError."""
    asked = form(data=request.query_params.dict())
    asked.is_valid(raise_exception=True)
    said: dict[str, Any] = asked.validated_data
    return Page(int(said["after"]), said["limit"]), said


def on_page(rows: QuerySet[Row], page: Page) -> tuple[list[Row], str | None]:
    """The rows of the page, and what the next one is asked for with; None behind the last row."""
    found = list(rows.filter(pk__gt=page.after).order_by("pk")[: page.limit + 1])
    shown = found[: page.limit]
    return shown, str(shown[-1].pk) if len(found) > page.limit else None
