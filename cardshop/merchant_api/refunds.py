"""Refunds: asked for as on an order's page, and let go by a second person where the shop wants two."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cardshop.common.api import StrictSerializer, WholeNumberField
from cardshop.common.errors import NotHere
from cardshop.common.money import MAX_MINOR, to_text
from cardshop.merchant_api.orders import MOST_BIG, RefundOut, order_called
from cardshop.merchant_api.views import MerchantApiView, actor_of, refusals
from orders.models import Order
from payments.checkout.refund_admin import REASON_MAX, RefundForm
from payments.models import Refund
from payments.services.refunds import NotRefundable
from payments.states import RefundStatus
from resellers.api.once import ONCE, once
from resellers.api.pages import PageInput, on_page, page_of
from resellers.api.views import key_of
from resellers.models import MerchantScope


class RefundInput(StrictSerializer):
    line = WholeNumberField(
        min_value=1, max_value=MOST_BIG, required=False, default=None, help_text="Given back with the money."
    )
    money = WholeNumberField(
        min_value=1, max_value=MOST_BIG, required=False, default=None, help_text="Or one of its `money` only."
    )
    amount_minor = WholeNumberField(
        min_value=1, max_value=MAX_MINOR, required=False, default=None, help_text="Default: all of it."
    )
    reason = serializers.CharField(max_length=REASON_MAX)

    def validate(self, said: dict[str, Any]) -> dict[str, Any]:
        if (said["line"] is None) == (said["money"] is None):
            raise serializers.ValidationError({"line": _("Name either a line or money.")})
        return said


class RefundsInput(PageInput):
    status = serializers.ChoiceField(RefundStatus.values, required=False, default="")


class RefundsOut(serializers.Serializer[Any]):
    refunds = RefundOut(many=True)
    next = serializers.CharField(allow_null=True, help_text="Send it as `after`; null: there are no more.")


EXAMPLE = OpenApiExample(
    "A line, with all that was paid for it",
    value={"line": 71, "reason": "does not work"},
    request_only=True,
)


class OrderRefundsApi(MerchantApiView):
    scope_to_write = MerchantScope.REFUNDS_WRITE

    @extend_schema(
        operation_id="merchant_refunds_create",
        request=RefundInput,
        parameters=[ONCE],
        examples=[EXAMPLE],
        responses={202: RefundOut, **refusals(400, 404, 409, 415, 422)},
    )
    def post(self, request: Request, number: str) -> Response:
        """Ask for it. A worker sends it to the provider, once somebody has approved it where the shop wants
        two people; ask what became of it at `refunds/<number>/`.
        """
        wanted = RefundInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        order = order_called(request, number)
        return once(request, wanted.validated_data, lambda: _asked(request, order, wanted.validated_data))


class RefundsApi(MerchantApiView):
    scope = MerchantScope.ORDERS_READ

    @extend_schema(
        operation_id="merchant_refunds_list",
        parameters=[RefundsInput],
        responses={200: RefundsOut, **refusals(400)},
    )
    def get(self, request: Request) -> Response:
        """Refunds, the oldest first."""
        page, asked = page_of(request, RefundsInput)
        refunds = _refunds(request)
        if asked["status"]:
            refunds = refunds.filter(status=asked["status"])
        found, after = on_page(refunds, page)
        return Response({"refunds": RefundOut(found, many=True).data, "next": after})


class RefundApi(MerchantApiView):
    scope = MerchantScope.ORDERS_READ

    @extend_schema(operation_id="merchant_refunds_retrieve", responses={200: RefundOut, **refusals(404)})
    def get(self, request: Request, number: str) -> Response:
        """What became of it."""
        if (refund := _refunds(request).filter(out_refund_no=number).first()) is None:
            raise NotHere
        return Response(RefundOut(refund).data)


def _refunds(request: Request) -> QuerySet[Refund]:
    return Refund.objects.filter(shop=key_of(request).shop).select_related("payment__order")


def _asked(request: Request, order: Order, said: Mapping[str, Any]) -> Response:
    amount_minor = said["amount_minor"]
    entered = {
        "what": f"item:{said['line']}" if said["line"] else f"money:{said['money']}",
        "amount": "" if amount_minor is None else to_text(amount_minor, order.currency),
        "reason": said["reason"],
    }
    form = RefundForm(entered, order=order)
    if not form.is_valid():
        raise NotRefundable
    return Response(RefundOut(form.request(actor=actor_of(request))).data, 202)
