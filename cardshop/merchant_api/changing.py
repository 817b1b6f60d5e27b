"""Changing a variant as the administration's page of it would: by the same form, under the variant's lock."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from django.forms import model_to_dict, modelform_factory
from rest_framework.serializers import ValidationError

from cardshop.common.audit import Deed, deeds_between, standing
from cardshop.common.locks import lock_rows
from cardshop.common.money import to_text
from cardshop.merchant_api.errors import ChangedMeanwhile
from cardshop.traffic.display_cache import forget_on_commit
from inventory.admin_forms import VariantForm
from inventory.models import Variant

CHANGEABLE = [
    "price_minor",
    "min_quantity",
    "max_quantity",
    "per_buyer_limit",
    "low_stock_at",
    "on_sale_from",
    "on_sale_until",
    "is_active",
]
# The form asks for the price as text. What it looks at besides decides what else may be so.
_ENTERED = [*CHANGEABLE[1:], "selling", "is_isolated"]
_Form: Any = modelform_factory(Variant, form=VariantForm, fields=_ENTERED)


def version_of(variant: Variant) -> str:
    """The same as long as nothing that can be changed here is changed."""
    said = json.dumps([str(getattr(variant, name)) for name in CHANGEABLE])
    return sha256(said.encode()).hexdigest()[:16]


def change_variant(variant: Variant, changes: Mapping[str, Any], *, version: str) -> list[Deed]:
    """Change what of CHANGEABLE is in `changes`; returns what of it is to be written down.

    In the caller's transaction. Raises ChangedMeanwhile where it has another `version`, if one is given, and
    ValidationError.
    """
    rows = Variant.objects.filter(pk=variant.pk)
    ((locked,),) = lock_rows(rows.select_related("product", "shop"))
    if version and version != version_of(locked):
        raise ChangedMeanwhile
    before = standing(rows.all())
    form = _Form(_entered(locked, changes), instance=locked)
    if not form.is_valid():
        raise ValidationError({_NAMES.get(name, name): errors for name, errors in form.errors.items()})
    form.instance.save(update_fields=list(changes))
    forget_on_commit(locked.shop_id)
    return deeds_between(before, standing(rows.all()), shop_of=lambda _variant: locked.shop_id)


_NAMES = {"price": "price_minor"}


def _entered(variant: Variant, changes: Mapping[str, Any]) -> dict[str, Any]:
    """As somebody would who leaves all else as it is."""
    entered = {**model_to_dict(variant, fields=_ENTERED), "currency": variant.currency, **changes}
    minor = entered.pop("price_minor", variant.price_minor)
    return {**entered, "price": to_text(minor, variant.currency)}
