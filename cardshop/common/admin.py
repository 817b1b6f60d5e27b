"""What the merchant's pages share: lists that answer their filters only, histories nobody edits,
deletion that explains itself.
"""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import get_fields_from_path
from django.db import models
from django.db.models import Q
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin


class MerchantAdmin(ModelAdmin):
    """The base of all our pages: a list may be asked only what its own filters ask.

    Django lets an address look up every field of the model, shown or not: whoever may see the orders
    could spell out their secret tokens with `?token__startswith=A`.
    """

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        if lookup in self._calendar_lookups():
            # Django counts one on from these, and datetime ends with the year 9999.
            return value.isascii() and value.isdigit() and 1 <= int(value[:5]) <= 9998
        # PostgreSQL's text cannot hold a NUL: asking for one would be a 500.
        return lookup in self._own_lookups(request) and "\0" not in value

    def _own_lookups(self, request: HttpRequest) -> set[str]:
        """What the links of the list's filters are made of, and rows by primary key."""
        own = {f"{pk}{how}" for pk in ("pk", self.opts.pk.name) for how in ("", "__exact", "__in")}
        for entry in self.get_list_filter(request):
            if isinstance(entry, type) and issubclass(entry, admin.SimpleListFilter):
                own.add(str(entry.parameter_name))
            else:
                own |= _filter_lookups(self.model, entry if isinstance(entry, str) else entry[0])
        return own

    def _calendar_lookups(self) -> set[str]:
        parts = ("year", "month", "day") if self.date_hierarchy else ()
        return {f"{self.date_hierarchy}__{part}" for part in parts}


def _filter_lookups(model: type[models.Model], path: str) -> set[str]:
    """The parameters of Django's filter for this field, as its `expected_parameters` would name them."""
    field = get_fields_from_path(model, path)[-1]
    if isinstance(field, (models.ForeignKey, models.ManyToManyField)):
        how = [f"__{field.target_field.name}__exact"]
    elif isinstance(field, models.DateField):
        how = ["__gte", "__lt"]
    else:
        how = ["", "__exact"]  # the one for any value, the other for choices and booleans
    return {f"{path}{one}" for one in [*how, "__isnull"]}


class ReadOnlyAdmin(MerchantAdmin):
    """History: to be looked at. What may be done about it is an action, never an edit."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


class GuardedDeleteAdmin(MerchantAdmin):
    """May be deleted while nothing depends on it; otherwise the page says what does, and how many.

    Django itself would name every single protected row, and a variant may have 100,000 keys.
    """

    def get_deleted_objects(self, objs: Iterable[models.Model], request: HttpRequest) -> Any:
        if dependants := _dependants(self.model, objs):
            return [], {}, set(), dependants
        return super().get_deleted_objects(objs, request)


def _dependants(model: type[models.Model], objs: Iterable[models.Model]) -> list[str]:
    """`12 order lines`, one sentence for each kind of row that forbids the deletion."""
    pks = [obj.pk for obj in objs]
    counts = [
        (
            relation.related_model,
            relation.related_model._default_manager.filter(**{f"{relation.field.name}__in": pks}).count(),
        )
        for relation in model._meta.related_objects
        if relation.on_delete is models.PROTECT
    ]
    return [f"{count} {related._meta.verbose_name_plural}" for related, count in counts if count]


class AttentionFilter(admin.SimpleListFilter):
    """For models whose `attention` is a reason for a person to look."""

    title = _("needs attention")
    parameter_name = "attention"
    waiting = ~Q(attention="")

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Yes")), ("no", _("No"))]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        if self.value() == "yes":
            return queryset.filter(self.waiting)
        return queryset.exclude(self.waiting) if self.value() == "no" else queryset
