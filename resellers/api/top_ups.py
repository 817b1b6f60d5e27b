"""Top-ups: a page at which money is paid on the account, by whatever ways to pay the shop has."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cardshop.common.api import StrictSerializer, WholeNumberField
from cardshop.common.clock import db_now
from cardshop.common.errors import NotHere
from cardshop.common.money import MAX_MINOR
from cardshop.common.problems import CONTENT_TYPE
from orders.errors import IdempotencyConflict
from orders.states import OrderStatus
from payments.models import TopUp
from payments.services.topping_up import AccountFrozen, ask_for_top_up, page_of
from resellers.api.idempotency import key_in
from resellers.api.orders import ONCE
from resellers.api.pages import PageInput, on_page, page_asked_for
from resellers.api.problems import REFUSALS, Problem
from resellers.api.views import ResellerApiView, key_of, reseller_of
from resellers.errors import KeyReused, Suspended
from resellers.models import Scope

# As the order behind it stands.
STATUS_OF = {
    OrderStatus.PENDING: "open",
    OrderStatus.CLOSING: "open",
    OrderStatus.PAID: "paid",
    OrderStatus.DELIVERED: "credited",
    OrderStatus.COMPLETED: "credited",
    OrderStatus.EXPIRED: "expired",
    OrderStatus.CANCELLED: "cancelled",
    OrderStatus.REFUNDED: "refunded",
}
STATUSES = sorted(set(STATUS_OF.values()))


class TopUpInput(StrictSerializer):
    amount_minor = WholeNumberField(
        min_value=1,
        max_value=MAX_MINOR,
        help_text="In minor units: 100000 is ¥1000.00. At least one unit of the account's currency.",
    )


class TopUpOut(serializers.Serializer[Any]):
    number = serializers.CharField(help_text="`reference` of the entry, once it is credited.")
    status = serializers.ChoiceField(
        STATUSES, help_text="open, paid (and credited a moment later), credited; money that comes late, too."
    )
    amount_minor = serializers.IntegerField()
    currency = serializers.CharField()
    url = serializers.CharField(help_text="Where it is paid, by whoever has the link.")
    asked_at = serializers.DateTimeField()
    pay_until = serializers.DateTimeField(help_text="No payment can be begun any more a minute before.")
    credited_at = serializers.DateTimeField(allow_null=True)


class TopUpsOut(serializers.Serializer[Any]):
    top_ups = TopUpOut(many=True)
    next = serializers.CharField(allow_null=True, help_text="Send it as `after`; null: there are no more.")


EXAMPLE = OpenApiExample("A thousand", value={"amount_minor": 100000}, request_only=True)


class TopUpsApi(ResellerApiView):
    scope = Scope.BALANCE
    scope_to_write = Scope.BUY

    @extend_schema(
        operation_id="top_ups_list",
        parameters=[PageInput],
        responses={200: TopUpsOut, (400, CONTENT_TYPE): Problem, **REFUSALS},
    )
    def get(self, request: Request) -> Response:
        """Every top-up of the account, the oldest first, whoever has asked for it."""
        found, after = on_page(_top_ups_of(request), page_asked_for(request))
        return Response({"top_ups": [_told(top_up) for top_up in found], "next": after})

    @extend_schema(
        operation_id="top_ups_create",
        request=TopUpInput,
        parameters=[ONCE],
        examples=[EXAMPLE],
        responses={
            201: TopUpOut,
            **{(status, CONTENT_TYPE): Problem for status in (400, 409, 415, 422)},
            **REFUSALS,
        },
    )
    def post(self, request: Request) -> Response:
        """A page at which somebody pays this on the account. What it costs to pay is the shop's affair: the
        whole amount is credited.
        """
        key = key_in(request)
        wanted = TopUpInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        try:
            top_up = ask_for_top_up(
                reseller_of(request).balance,
                amount_minor=wanted.validated_data["amount_minor"],
                key=key,
                actor=key_of(request).acts_as,
                now=db_now(),
            )
        except IdempotencyConflict as conflict:
            raise KeyReused from conflict
        except AccountFrozen as frozen:
            raise Suspended from frozen
        return Response(_told(top_up), 201)


class TopUpApi(ResellerApiView):
    scope = Scope.BALANCE

    @extend_schema(
        operation_id="top_ups_retrieve",
        responses={200: TopUpOut, (404, CONTENT_TYPE): Problem, **REFUSALS},
    )
    def get(self, request: Request, number: str) -> Response:
        """How it stands."""
        if (top_up := _top_ups_of(request).filter(order__number=number).first()) is None:
            raise NotHere
        return Response(_told(top_up))


def _top_ups_of(request: Request) -> QuerySet[TopUp]:
    mine = TopUp.objects.filter(balance=reseller_of(request).balance_id)
    return mine.select_related("order__shop")


def _told(top_up: TopUp) -> dict[str, Any]:
    order = top_up.order
    said = {
        "number": order.number,
        "status": STATUS_OF[OrderStatus(order.status)],
        "amount_minor": order.total_minor,
        "currency": order.currency,
        "url": page_of(top_up),
        "asked_at": order.placed_at,
        "pay_until": order.reserved_until,
        "credited_at": order.delivered_at,
    }
    return dict(TopUpOut(said).data)
