"""Card keys in clear, for programs that may see them: asked for with a reason, noted before they are shown.

A second person has to approve it where the shop wants two.
"""

from typing import Any

from django.views.decorators.debug import sensitive_variables
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cardshop.common.api import StrictSerializer
from cardshop.common.clock import db_now
from cardshop.common.crypto import CannotOpen
from cardshop.common.errors import NotHere
from cardshop.merchant_api.errors import NotReadable
from cardshop.merchant_api.views import MerchantApiView, actor_of, refusals, viewer_of
from inventory.key_requests import ask_to_reveal, reveal_requested
from inventory.models import CardKey, KeyRequest, RequestStatus
from resellers.api.views import key_of
from resellers.models import MerchantScope


class WhyInput(StrictSerializer):
    why = serializers.CharField(max_length=200, help_text="It is noted. No keys here.")


class RevealedOut(serializers.Serializer[Any]):
    card_key = serializers.IntegerField()
    request = serializers.IntegerField()
    status = serializers.ChoiceField([RequestStatus.AWAITED.value, RequestStatus.USED.value])
    secret = serializers.CharField(allow_null=True, help_text="null: a second person has to approve it.")


class RevealApi(MerchantApiView):
    scope_to_write = MerchantScope.KEYS_READ

    @extend_schema(
        operation_id="merchant_card_keys_reveal",
        request=WhyInput,
        responses={200: RevealedOut, 202: RevealedOut, **refusals(400, 404, 409, 415)},
    )
    def post(self, request: Request, pk: int) -> Response:
        """See a key. Every time is noted, so this takes no Idempotency-Key."""
        wanted = WhyInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        mine = CardKey.objects.filter(shop=key_of(request).shop).select_related("batch__shop")
        if (card_key := mine.filter(pk=pk).first()) is None:
            raise NotHere
        asked = ask_to_reveal(
            card_key, why=wanted.validated_data["why"], actor=actor_of(request), now=db_now()
        )
        if asked.status == RequestStatus.AWAITED:
            said = {"card_key": pk, "request": asked.pk, "status": asked.status, "secret": None}
            return Response(said, 202)
        return _shown(request, asked, card_key)


class KeyRequestApi(MerchantApiView):
    scope_to_write = MerchantScope.KEYS_READ

    @extend_schema(
        operation_id="merchant_key_requests_reveal",
        request=None,
        responses={200: RevealedOut, **refusals(404, 409)},
    )
    def post(self, request: Request, pk: int) -> Response:
        """See a key that this API key has asked for and somebody has approved: once, within the hour."""
        asked = KeyRequest.objects.filter(shop=key_of(request).shop, pk=pk, card_key__isnull=False)
        found = asked.select_related("batch", "card_key").first()
        if found is None or found.card_key is None:
            raise NotHere
        return _shown(request, found, found.card_key)


@sensitive_variables()
def _shown(request: Request, asked: KeyRequest, card_key: CardKey) -> Response:
    try:
        secret = reveal_requested(asked, card_key, viewer_of(request), now=db_now())
    except CannotOpen:
        raise NotReadable from None
    said = {"card_key": card_key.pk, "request": asked.pk, "status": RequestStatus.USED, "secret": secret}
    return Response(said)
