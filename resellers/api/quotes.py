"""Quotes: what an order would cost, before it is one."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cardshop.common.problems import CONTENT_TYPE
from resellers.api.catalogue import CatalogueView
from resellers.api.lines import LinesInput
from resellers.api.problems import REFUSALS, Problem
from resellers.api.views import key_of, reseller_of
from resellers.models import Scope
from resellers.quoting import quote


class QuotedLineOut(serializers.Serializer[Any]):
    variant = serializers.CharField(source="variant.code")
    quantity = serializers.IntegerField()
    unit_price_minor = serializers.IntegerField(help_text="For this quantity. In minor units: 990 is ¥9.90.")
    total_minor = serializers.IntegerField()
    onward_min_minor = serializers.IntegerField(
        allow_null=True, help_text="What you have agreed not to sell it below; null: nothing."
    )
    is_available = serializers.BooleanField(help_text="Whether so many could be had at this moment.")


class QuoteOut(serializers.Serializer[Any]):
    currency = serializers.CharField()
    lines = QuotedLineOut(many=True)
    total_minor = serializers.IntegerField()
    is_available = serializers.BooleanField(help_text="Whether all of it could be had at this moment.")
    balance_after_minor = serializers.IntegerField(
        allow_null=True,
        help_text="What would be left of the balance; negative: so much would be owed, or is missing. null:"
        " the key may not see the balance.",
    )
    spendable_after_minor = serializers.IntegerField(
        allow_null=True,
        help_text="The same with the credit line: negative if, and only if, so much is missing.",
    )


EXAMPLE = OpenApiExample(
    "Two variants",
    value={"lines": [{"variant": "steam-50", "quantity": 100}, {"variant": "steam-100", "quantity": 1}]},
    request_only=True,
)


class QuotesApi(CatalogueView):
    scope_to_write = Scope.CATALOGUE

    @extend_schema(
        operation_id="reseller_quote",
        request=LinesInput,
        responses={
            200: QuoteOut,
            (400, CONTENT_TYPE): Problem,
            (404, CONTENT_TYPE): Problem,
            (409, CONTENT_TYPE): Problem,
            **REFUSALS,
        },
        examples=[EXAMPLE],
    )
    def post(self, request: Request) -> Response:
        """What these lines would cost you now. Nothing is held; an order may still find fewer, or other
        prices.
        """
        asked = LinesInput(data=request.data)
        asked.is_valid(raise_exception=True)
        wanted = {line["variant"]: line["quantity"] for line in asked.validated_data["lines"]}
        reseller = reseller_of(request)
        lines = quote(reseller, wanted)
        balance, total_minor = reseller.balance, sum(line.total_minor for line in lines)
        may_see = Scope.BALANCE in key_of(request).scopes
        return Response(
            {
                "currency": balance.currency,
                "lines": QuotedLineOut(lines, many=True).data,
                "total_minor": total_minor,
                "is_available": all(line.is_available for line in lines),
                "balance_after_minor": balance.amount_minor - total_minor if may_see else None,
                "spendable_after_minor": balance.spendable_minor - total_minor if may_see else None,
            }
        )
