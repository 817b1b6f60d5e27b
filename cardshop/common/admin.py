"""What the merchant's pages share: rows of one shop only, lists that answer their filters only and cost the
same however long they are, histories nobody edits, deletion that explains itself.
"""

from calendar import monthrange
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import display_for_value, get_fields_from_path
from django.db import models
from django.db.models import Q
from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.admin import StackedInline, TabularInline

from cardshop.common.admin_checks import MerchantAdminChecks
from cardshop.common.audited import AuditedAdmin
from cardshop.common.edited_lists import EditedListAdmin
from cardshop.common.long_lists import MOST_LISTED, LongListPaginator, asked_whole
from cardshop.common.shop_scope import (
    OPERATORS,
    ScopedChoices,
    ShopRelatedFilter,
    is_within,
    sees_all,
    within,
)

# The classes of a link in a list or among the fields of a page.
LINK = "font-semibold text-primary-600 dark:text-primary-500"


class MerchantAdmin(ScopedChoices, EditedListAdmin, AuditedAdmin):
    """The base of all our pages: whoever acts in a shop sees its rows and no others, and a list may be asked
    only what its own filters ask.

    `shop_path` is the way from the model to its shop, as one would filter by it (`shop`, `order__shop`), or
    OPERATORS. Where it is `shop`, the shop is chosen at creation and stays: everything hangs on it.

    Django lets an address look up every field of the model, shown or not: whoever may see the orders
    could spell out their secret tokens with `?token__startswith=A`.
    """

    shop_path = ""
    checks_class = MerchantAdminChecks
    paginator: type = LongListPaginator
    show_full_result_count = False

    # Whose rows

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        return within(request, super().get_queryset(request))

    def row_or_404(self, request: HttpRequest, pk: str | int) -> Any:
        """What every page of one row that is written by hand begins with."""
        return get_object_or_404(self.get_queryset(request), pk=pk)

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> Any:
        """Not Django's forward to the first page: the row of another shop is as little there as none."""
        raise Http404

    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return bool(super().has_view_permission(request, obj)) and self.is_theirs(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(super().has_add_permission(request)) and self.is_theirs(request)

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return bool(super().has_change_permission(request, obj)) and self.is_theirs(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return bool(super().has_delete_permission(request, obj)) and self.is_theirs(request, obj)

    def is_theirs(self, request: HttpRequest, obj: Any = None) -> bool:
        if sees_all(request):
            return True
        # Before it calls a button's page unfold asks with the text of the address in the place of the row.
        is_row = isinstance(obj, models.Model)
        return self.shop_path not in ("", OPERATORS) and (not is_row or is_within(request, obj))

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        is_fixed = obj is not None and self.shop_path == "shop" and "shop" not in fields
        return [*fields, "shop"] if is_fixed else fields

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        given: dict[str, Any] = super().get_changeform_initial_data(request)
        if self.shop_path != "shop":
            return given
        shops = self.get_field_queryset(None, self.opts.get_field("shop"), request)
        return {"shop": shops.order_by("pk").first(), **given}

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        return [self._scoped(entry) for entry in super().get_list_filter(request)]

    def _scoped(self, entry: Any) -> Any:
        is_relation = isinstance(entry, str) and get_fields_from_path(self.model, entry)[-1].is_relation
        return (entry, ShopRelatedFilter) if is_relation else entry

    # What may be asked

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        """Where all fields are asked for as a whole (`=`), each is asked by itself and through its index: one
        OR over joined tables would read them all.
        """
        fields = self.get_search_fields(request)
        if not search_term or not all(field.startswith("=") for field in fields):
            found_as_usual: tuple[models.QuerySet[Any], bool] = super().get_search_results(
                request, queryset, search_term
            )
            return found_as_usual
        asked = [asked_whole(self.model, field.removeprefix("="), search_term.strip()) for field in fields]
        by_field = [queryset.filter(one).order_by().values_list("pk") for one in asked if one is not None]
        if not by_field:
            return queryset.none(), False
        found = by_field[0].union(*by_field[1:])[:MOST_LISTED]
        return queryset.filter(pk__in=[pk for (pk,) in found]), False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
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


def at(moment: datetime | None) -> str:
    """As a page shows a moment, where a method tells it."""
    return str(display_for_value(moment, "-"))


class MerchantTabularInline(ScopedChoices, TabularInline):
    """What is typed into says its name to those, too, who do not see the heading above it."""

    def get_formset(self, request: HttpRequest, obj: models.Model | None = None, **kwargs: Any) -> Any:
        formset = super().get_formset(request, obj, **kwargs)
        for field in formset.form.base_fields.values():
            field.widget.attrs.setdefault("aria-label", field.label)
        return formset


class MerchantStackedInline(ScopedChoices, StackedInline):
    pass


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


class MadeOnceAdmin(MerchantAdmin):
    """What was made is not changed: buttons do what may be done about it, and there is nothing to save."""

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        shown = {"show_save": False, "show_save_and_continue": False, "show_save_and_add_another": False}
        return super().changeform_view(request, object_id, form_url, {**shown, **(extra_context or {})})


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


class CalendarFilter(admin.SimpleListFilter):
    """By month, and by day of the month that is chosen; MONTHS back. `field` is the moment that is meant.

    Django's `date_hierarchy` would read every row to find out which months there are.
    """

    MONTHS = 24
    title = _("date")
    parameter_name = "date"
    field = ""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        today = timezone.localdate()
        newest = 12 * today.year + today.month - 1
        months = [f"{at // 12}-{at % 12 + 1:02}" for at in range(newest, newest - self.MONTHS, -1)]
        chosen = str(self.value())[:7]
        return [(each, each) for month in months for each in (month, *_days_of(month, month == chosen))]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        if self.value() not in dict(self.lookup_choices):
            return queryset
        year, month, *days = map(int, str(self.value()).split("-"))
        first = date(year, month, *(days or [1]))
        end = first + timedelta(days=1 if days else monthrange(year, month)[1])
        begins, ends = (timezone.make_aware(datetime.combine(day, time.min)) for day in (first, end))
        return queryset.filter(**{f"{self.field}__gte": begins, f"{self.field}__lt": ends})


def _days_of(month: str, is_chosen: bool) -> list[str]:
    year, number = map(int, month.split("-"))
    return [f"{month}-{day:02}" for day in range(1, monthrange(year, number)[1] + 1)] if is_chosen else []
