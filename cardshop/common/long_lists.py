"""Lists of the administration that cost the same with ten thousand rows and with a million."""

from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.db import models
from django.db.models import Q
from django.utils.functional import cached_property

MOST_LISTED = 10_000
_LARGEST = 2**63 - 1


class LongListPaginator(Paginator):  # type: ignore[type-arg]
    """Counts, and pages through, the first MOST_LISTED rows: to count a million takes longer than to show a
    hundred of them, and nobody turns ten thousand pages. What is further down is found by search and filters.
    """

    template_name = "admin/_pages.html"

    @cached_property
    def count(self) -> int:
        return min(self._counted, MOST_LISTED)

    @property
    def is_cut(self) -> bool:
        """Whether there are more."""
        return self._counted > MOST_LISTED

    @cached_property
    def _counted(self) -> int:
        rows: Any = self.object_list
        counted: int = rows.order_by()[: MOST_LISTED + 1].count()
        return counted


def asked_whole(model: type[models.Model], path: str, term: str) -> Q | None:
    """The condition that the field at `path` is `term`, such as its index can answer: numbers in either case,
    an e-mail address in any. None where no value of the field can be it.
    """
    field = _field_at(model, path)
    if "\0" in term:
        return None
    if isinstance(field, models.IntegerField):
        is_number = term.isascii() and term.isdecimal() and len(term) < 20 and int(term) <= _LARGEST
        return Q(**{path: int(term)}) if is_number else None
    if isinstance(field, models.UUIDField):
        return Q(**{path: term}) if _is_uuid(term) else None
    if isinstance(field, models.EmailField):
        return Q(**{f"{path}__iexact": term})
    return Q(**{f"{path}__in": list({term, term.upper()})})


def _is_uuid(term: str) -> bool:
    try:
        UUID(term)
    except ValueError:
        return False
    return True


def _field_at(model: type[models.Model], path: str) -> Any:
    *relations, name = path.split("__")
    for relation in relations:
        model = model._meta.get_field(relation).related_model  # type: ignore[assignment]
    return model._meta.get_field(name)
