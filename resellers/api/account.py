"""The account: what is on it, and every entry that made it so."""

from typing import Any

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from cardshop.common.api import StrictSerializer
from cardshop.common.csv_files import csv_file
from cardshop.common.problems import CONTENT_TYPE
from payments.ledger.statements import COLUMNS, MOST_DAYS, Period, statement_rows
from payments.models import BalanceEntry
from payments.states import EntryKind
from resellers.api.pages import PageInput, on_page, page_asked_for
from resellers.api.problems import REFUSALS, Problem
from resellers.api.views import ResellerApiView, reseller_of
from resellers.models import Reseller, Scope


class AccountOut(serializers.Serializer[Reseller]):
    name = serializers.CharField()
    currency = serializers.CharField(source="balance.currency")
    balance_minor = serializers.IntegerField(
        source="balance.amount_minor",
        help_text="In minor units: 990 is ¥9.90. Negative: so much is owed, on credit.",
    )
    credit_minor = serializers.IntegerField(
        source="balance.credit_minor", help_text="How much may be owed: the credit line."
    )
    spendable_minor = serializers.IntegerField(
        source="balance.spendable_minor", help_text="What orders may cost: the balance and the credit line."
    )


class EntryOut(serializers.Serializer[Any]):
    id = serializers.IntegerField(help_text="Grows from entry to entry.")
    kind = serializers.ChoiceField(EntryKind.values)
    amount_minor = serializers.IntegerField(help_text="Negative for what was paid.")
    after_minor = serializers.IntegerField(help_text="The balance afterwards.")
    reference = serializers.CharField(help_text="What the entry was made for, such as an order's payment.")
    reason = serializers.CharField()
    at = serializers.DateTimeField()


class EntriesOut(serializers.Serializer[Any]):
    entries = EntryOut(many=True)
    next = serializers.CharField(allow_null=True, help_text="Send it as `after`; null: there are no more.")


class StatementInput(StrictSerializer):
    def get_fields(self) -> dict[str, Any]:
        """`from` cannot be the name of an attribute."""
        return {
            "from": serializers.DateField(help_text="The first day, by the clock of the shop."),
            "to": serializers.DateField(help_text=f"The last day: {MOST_DAYS} days are the most."),
        }


class CsvRenderer(JSONRenderer):
    """For whoever accepts nothing but CSV. Rows are streamed past it; what it renders is a refusal."""

    media_type = "text/csv"
    format = "csv"


class AccountApi(ResellerApiView):
    scope = Scope.BALANCE

    @extend_schema(operation_id="account", responses={200: AccountOut, **REFUSALS})
    def get(self, request: Request) -> Response:
        """Who you are here, and what you have."""
        return Response(AccountOut(reseller_of(request)).data)


class EntriesApi(ResellerApiView):
    scope = Scope.BALANCE

    @extend_schema(
        operation_id="entries_list",
        parameters=[PageInput],
        responses={200: EntriesOut, (400, CONTENT_TYPE): Problem, **REFUSALS},
    )
    def get(self, request: Request) -> Response:
        """Every entry, the oldest first. The last one's `after_minor` is the balance."""
        mine = BalanceEntry.objects.filter(balance=reseller_of(request).balance_id)
        entries, after = on_page(mine, page_asked_for(request))
        return Response({"entries": EntryOut(entries, many=True).data, "next": after})


class StatementApi(ResellerApiView):
    scope = Scope.BALANCE
    renderer_classes = [JSONRenderer, CsvRenderer]

    @extend_schema(
        operation_id="account_statement",
        parameters=[StatementInput],
        responses={
            (200, "text/csv"): OpenApiTypes.STR,
            (400, CONTENT_TYPE): Problem,
            **REFUSALS,
        },
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        """For book-keeping: the opening balance, every entry of these days as it was booked, the closing
        balance. Money is told in units of the currency, and in minor units.
        """
        asked = StatementInput(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        period = Period(asked.validated_data["from"], asked.validated_data["to"])
        name = f"statement-{period.first}-{period.last}.csv"
        return csv_file(name, COLUMNS, statement_rows(reseller_of(request).balance, period), mark=False)
