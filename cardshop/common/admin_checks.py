"""What Django's system checks refuse about a page of the administration, and so `migrate` and `check`."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import NotRelationField, get_fields_from_path
from django.core.checks import Error
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from unfold.checks import UnfoldModelAdminChecks

from cardshop.common.shop_scope import OPERATORS, SCOPED_FILTERS, ScopedChoices

SHOP = "shops.Shop"


class MerchantAdminChecks(UnfoldModelAdminChecks):
    """A page says whose rows it shows, and offers nobody the rows of others."""

    def check(self, admin_obj: Any, **kwargs: Any) -> list[Any]:
        return [
            *super().check(admin_obj, **kwargs),
            *_check_shop_path(admin_obj),
            *_check_filters(admin_obj),
            *_check_inlines(admin_obj),
        ]


def _check_shop_path(page: Any) -> list[Error]:
    label = page.model._meta.label
    if page.shop_path == OPERATORS or (page.shop_path == "pk" and label == SHOP):
        return []
    if not page.shop_path:
        said = f"does not say which shop the rows of {label} belong to, so nobody but superusers sees them."
    elif (why_not := _why_no_path(page.model, page.shop_path)) is None:
        return []
    else:
        said = f"says that the way from {label} to its shop is {page.shop_path!r}, but {why_not}."
    return [
        Error(
            f"{_name(page)} {said}",
            hint=(
                f'Write shop_path = "…" into the class: the way from {label} to its shop as one would filter'
                ' by it, such as "shop" where the model has that ForeignKey, or "order__shop". If the rows'
                " belong to the installation and not to a shop: shop_path = OPERATORS"
                " (cardshop.common.shop_scope). Then say in cardshop/shops/roles.py what each role may do."
            ),
            obj=type(page),
            id="cardshop.E010",
        )
    ]


def _why_no_path(model: type[models.Model], path: str) -> str | None:
    try:
        fields = get_fields_from_path(model, path)
    except (FieldDoesNotExist, NotRelationField):
        return "there is no such way"
    if not all(field.many_to_one or (field.one_to_one and field.concrete) for field in fields):
        return "not every step of it is a ForeignKey"
    end: Any = fields[-1].related_model
    return None if end._meta.label == SHOP else f"that leads to {end._meta.label}"


def _check_filters(page: Any) -> list[Error]:
    """Filters offer choices, and name what is chosen, whosever it is."""
    return [
        Error(
            f"{_name(page)}.list_filter: {entry[1].__name__} offers the rows of all shops.",
            hint=(
                "Name the field alone, or take ShopAutocompleteFilter or ShopRelatedFilter"
                " (cardshop.common.shop_scope)."
            ),
            obj=type(page),
            id="cardshop.E011",
        )
        for entry in page.list_filter
        if isinstance(entry, (tuple, list))
        and issubclass(entry[1], admin.RelatedFieldListFilter)
        and not issubclass(entry[1], SCOPED_FILTERS)
    ]


def _check_inlines(page: Any) -> list[Error]:
    return [
        Error(
            f"{inline.__name__} of {_name(page)} may offer the rows of all shops.",
            hint="Derive it from MerchantTabularInline or MerchantStackedInline (cardshop.common.admin).",
            obj=type(page),
            id="cardshop.E012",
        )
        for inline in page.inlines
        if not issubclass(inline, ScopedChoices)
    ]


def _name(page: Any) -> str:
    return f"{type(page).__module__}.{type(page).__name__}"
