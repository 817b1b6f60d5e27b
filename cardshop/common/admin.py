"""What the merchant's pages share: histories nobody edits, deletion that explains itself, money as text."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin


class ReadOnlyAdmin(ModelAdmin):
    """History: to be looked at. What may be done about it is an action, never an edit."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


class GuardedDeleteAdmin(ModelAdmin):
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

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Yes")), ("no", _("No"))]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        if self.value() == "yes":
            return queryset.exclude(attention="")
        return queryset.filter(attention="") if self.value() == "no" else queryset
