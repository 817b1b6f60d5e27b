"""What Django's system checks refuse about roles."""

from typing import Any

from django.contrib import admin
from django.core.checks import Error, Tags, register

from cardshop.common.shop_scope import OPERATORS, shop_path_of
from cardshop.shops.roles import FURTHER, RIGHTS


@register(Tags.admin)
def every_page_has_its_roles(app_configs: Any, **options: Any) -> list[Error]:
    """A page that no role may open would be forgotten by everybody but superusers."""
    pages = [page for page in admin.site._registry.values() if shop_path_of(page.model) != OPERATORS]
    models = {page.opts.label_lower: page for page in pages}
    models |= {inline.model._meta.label_lower: page for page in pages for inline in page.inlines}
    return [
        Error(
            f"No role may open {label}, which {type(page).__name__} shows.",
            hint=(
                f'Add a row "{label}" to RIGHTS in cardshop/shops/roles.py: for each role the letters of what'
                " it may do (v view, a add, c change, d delete, - nothing). Or, if it belongs to no shop,"
                " shop_path = OPERATORS in the class."
            ),
            obj=type(page),
            id="cardshop.E013",
        )
        for label, page in models.items()
        if label not in RIGHTS
    ] + [
        Error(
            f"{permission}, a permission of {model._meta.label}, is in no role's hands.",
            hint="Add it to FURTHER in cardshop/shops/roles.py, with the roles that have it (or none).",
            obj=model,
            id="cardshop.E014",
        )
        for model in {page.model for page in pages}
        for permission in (
            f"{model._meta.app_label}.{codename}" for codename, _name in model._meta.permissions
        )
        if permission not in FURTHER
    ]
