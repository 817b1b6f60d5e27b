"""Stock of goods without keys of their own, and the text that all buyers get."""

from collections.abc import Mapping
from typing import Any

from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cardshop.common.api import StrictSerializer, WholeNumberField
from cardshop.common.audit import Action, deed_on
from cardshop.common.clock import db_now
from cardshop.merchant_api.catalogue import MerchantVariantOut, variant_called
from cardshop.merchant_api.views import MerchantApiView, actor_of, refusals, write_down
from inventory.models import Variant
from inventory.setting import MOST_FREE, change_text, set_free
from inventory.texts import MOST_BYTES
from resellers.api.once import ONCE, once
from resellers.models import MerchantScope


class StockInput(StrictSerializer):
    free = WholeNumberField(
        min_value=0,
        max_value=MOST_FREE,
        allow_null=True,
        help_text="For sale from now on, whatever was sold before; null: unlimited.",
    )
    text = serializers.CharField(
        max_length=MOST_BYTES,
        required=False,
        default="",
        allow_blank=True,
        trim_whitespace=False,
        help_text="What every buyer gets from now on, of a reusable variant. Empty: what they got before.",
    )


class StockApi(MerchantApiView):
    scope_to_write = MerchantScope.STOCK_WRITE

    @extend_schema(
        operation_id="merchant_stock_set",
        request=StockInput,
        parameters=[ONCE],
        responses={200: MerchantVariantOut, **refusals(400, 404, 409, 415, 422)},
    )
    @method_decorator(sensitive_variables())
    def put(self, request: Request, code: str) -> Response:
        """How many there are. Of what is sold by keys, their number is the stock: import some."""
        wanted = StockInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        variant = variant_called(request, code)
        return once(request, wanted.validated_data, lambda: _set(request, variant, wanted.validated_data))


@sensitive_variables()
def _set(request: Request, variant: Variant, said: Mapping[str, Any]) -> Response:
    told = _("Stock set: %s") % (_("unlimited") if said["free"] is None else said["free"])
    if said["text"].strip():
        change_text(variant, said["text"], changed_by=actor_of(request), now=db_now())
        told += " · " + _("what every buyer gets: changed")
    set_free(variant, said["free"])
    write_down(request, [deed_on(variant, Action.DONE, shop_id=variant.shop_id, said=told)])
    return Response(MerchantVariantOut(variant_called(request, variant.code)).data)
