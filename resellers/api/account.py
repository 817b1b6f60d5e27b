"""The account: what is on it, and every entry that made it so."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cardshop.common.problems import CONTENT_TYPE
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
        source="balance.amount_minor", help_text="In minor units: 990 is ¥9.90."
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
