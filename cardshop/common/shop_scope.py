"""Whose rows somebody at the administration sees: those of the shop they act in, or all, who runs the
installation (a superuser).

Every page says once how its rows lead to their shop (`shop_path`); lists, choices, filters and hand-written
pages are narrowed down by it. Where nothing says how, there is nothing to be seen.
"""

from typing import Any, TypeVar

from django.contrib import admin
from django.contrib.admin.utils import get_model_from_relation
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.http import HttpRequest
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.contrib.filters.forms import AutocompleteDropdownForm

# In the place of a path: the rows belong to no shop, and are for those who run the installation.
OPERATORS = "operators"
Row = TypeVar("Row", bound=models.Model)


def sees_all(request: HttpRequest) -> bool:
    return bool(request.user.is_superuser)


def shop_in_hand(request: HttpRequest) -> int | None:
    """The id of the shop that this person acts in; None for who sees all, and for who belongs to none."""
    membership = getattr(request.user, "membership", None)
    return None if sees_all(request) or membership is None else membership.shop_id


def shop_path_of(model: type[models.Model]) -> str:
    """As its page declares it; a model without a page may have a `shop`."""
    if page := admin.site._registry.get(model):
        return getattr(page, "shop_path", "") or OPERATORS
    try:
        model._meta.get_field("shop")
    except FieldDoesNotExist:
        return OPERATORS
    return "shop"


def within(request: HttpRequest, rows: models.QuerySet[Row]) -> models.QuerySet[Row]:
    """Those of the rows that this person may see at all."""
    if sees_all(request):
        return rows
    path, shop_id = shop_path_of(rows.model), shop_in_hand(request)
    if path == OPERATORS or shop_id is None:
        return rows.none()
    return rows.filter(**{path: shop_id})


def is_within(request: HttpRequest, row: models.Model) -> bool:
    """The same for a row that somebody has found otherwise."""
    return sees_all(request) or shop_id_of(row) == shop_in_hand(request) is not None


def shop_id_of(row: models.Model) -> int | None:
    path = shop_path_of(type(row))
    if path == OPERATORS:
        return None
    *steps, last = path.split("__")
    at: Any = row
    for step in steps:
        at = getattr(at, step)
        if at is None:
            return None
    found: int | None = getattr(at, "pk" if last == "pk" else f"{last}_id")
    return found


class ScopedChoices:
    """For pages and inlines: what may be chosen for a relation are rows that this person may see."""

    def get_field_queryset(self, db: str | None, db_field: Any, request: HttpRequest) -> Any:
        rows = super().get_field_queryset(db, db_field, request)  # type: ignore[misc]
        if rows is None:
            rows = db_field.remote_field.model._default_manager.using(db)
        return within(request, rows)


class ShopRelatedFilter(admin.RelatedFieldListFilter):
    """A list's filter by a relation, with links: what MerchantAdmin takes where only a field is named."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        seen = within(request, get_model_from_relation(field)._default_manager.all())
        ordering = self.field_admin_ordering(field, request, model_admin)
        return [(row.pk, str(row)) for row in (seen.order_by(*ordering) if ordering else seen)]


class _ScopedForm(AutocompleteDropdownForm):
    """Shows what is chosen, by an id that anybody may write into the address."""

    def __init__(self, request: HttpRequest, name: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, name, *args, **kwargs)
        self.fields[name].queryset = within(request, self.fields[name].queryset.all())


class ShopAutocompleteFilter(AutocompleteSelectFilter):
    """A list's filter by a relation, with a field to search in."""

    form_class = _ScopedForm


SCOPED_FILTERS = (ShopRelatedFilter, ShopAutocompleteFilter)
