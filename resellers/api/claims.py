"""Claims for keys that do not work."""

from typing import Any

from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_variables
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cardshop.common.api import StrictSerializer
from cardshop.common.clock import db_now
from cardshop.common.problems import CONTENT_TYPE
from resellers.api.once import ONCE, once
from resellers.api.pages import PageInput, on_page, page_asked_for
from resellers.api.problems import REFUSALS, Problem
from resellers.api.views import ResellerApiView, reseller_of
from resellers.claims import claim_key, with_status
from resellers.models import Claim, Scope
from resellers.models.claims import ClaimStatus
from resellers.orders.told import order_called

MISTAKES = {(status, CONTENT_TYPE): Problem for status in (400, 404, 415, 422)}


class ClaimInput(StrictSerializer):
    key = serializers.CharField(max_length=4000, trim_whitespace=False, help_text="As it was delivered.")
    reason = serializers.RegexField(
        r"^[^\x00-\x1f\x7f]+\Z", max_length=200, help_text="What is wrong with it, for people."
    )


class ClaimOut(serializers.Serializer[Claim]):
    id = serializers.IntegerField()
    order = serializers.CharField(source="asked.number")
    variant = serializers.CharField(source="delivered.item.variant.code")
    reason = serializers.CharField()
    status = serializers.ChoiceField(
        ClaimStatus.values, help_text="replaced: the new key stands in the order now"
    )
    claimed_at = serializers.DateTimeField()


class ClaimsOut(serializers.Serializer[Any]):
    claims = ClaimOut(many=True)
    next = serializers.CharField(allow_null=True, help_text="Send it as `after`; null: there are no more.")


class ClaimsApi(ResellerApiView):
    scope = Scope.ORDERS

    @extend_schema(
        operation_id="claims_list",
        parameters=[PageInput],
        responses={200: ClaimsOut, (400, CONTENT_TYPE): Problem, **REFUSALS},
    )
    def get(self, request: Request) -> Response:
        """Every claim you have made, the oldest first."""
        mine = with_status(Claim.objects.filter(reseller=reseller_of(request)))
        found, after = on_page(mine, page_asked_for(request))
        return Response({"claims": [ClaimOut(claim).data for claim in found], "next": after})


class ClaimApi(ResellerApiView):
    scope_to_write = Scope.BUY

    @extend_schema(
        operation_id="claims_create",
        request=ClaimInput,
        parameters=[ONCE],
        responses={200: ClaimOut, **MISTAKES, **REFUSALS},
    )
    @method_decorator(sensitive_variables())
    def post(self, request: Request, number: str) -> Response:
        """Say that a key of the order is dead. The shop replaces it, gives its money back, or declines. A key
        has one claim: under another Idempotency-Key it is told as it stands.
        """
        asked = order_called(reseller_of(request), number)
        said = ClaimInput(data=request.data)
        said.is_valid(raise_exception=True)
        body = said.validated_data
        return once(request, body, lambda: Response(ClaimOut(claim_key(asked, **body, now=db_now())).data))
