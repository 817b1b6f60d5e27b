"""What may be done for an order: filling it in, new keys for bad ones, the buttons of its page."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cardshop.common.api import StrictSerializer, WholeNumberField
from cardshop.common.clock import db_now
from cardshop.common.errors import NotHere
from cardshop.merchant_api.orders import MOST_BIG, MerchantOrderInFullOut, order_called, told_in_full
from cardshop.merchant_api.views import MerchantApiView, actor_of, refusals
from inventory.models import KeyBatch
from inventory.texts import MOST_BYTES
from orders.errors import NotToBeReplaced
from orders.models import DeliveredKey, Order
from orders.services.fulfilling import fill_in, replace
from orders.services.replacing import WHY_MAX, NotReplaceable, replace_keys
from payments.checkout.helping import HELP
from resellers.api.once import ONCE, once
from resellers.models import MerchantScope

MOST_AT_ONCE = 100  # texts, or slots


class TextInput(StrictSerializer):
    line = WholeNumberField(min_value=1, max_value=MOST_BIG)
    slot = WholeNumberField(min_value=0, max_value=10**6, help_text="One of its `missing`.")
    text = serializers.CharField(max_length=MOST_BYTES, trim_whitespace=False)


class FillInInput(StrictSerializer):
    texts = TextInput(many=True, min_length=1, max_length=MOST_AT_ONCE)  # type: ignore[call-arg]

    def validate_texts(self, texts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len({(text["line"], text["slot"]) for text in texts}) < len(texts):
            raise serializers.ValidationError(_("Name each slot once."))
        return texts


class CorrectionInput(TextInput):
    slot = WholeNumberField(min_value=0, max_value=10**6, help_text="One that was filled in by hand.")


class ReplacementInput(StrictSerializer):
    line = WholeNumberField(min_value=1, max_value=MOST_BIG)
    slots = serializers.ListField(
        child=WholeNumberField(min_value=0, max_value=10**6), min_length=1, max_length=MOST_AT_ONCE
    )
    reason = serializers.CharField(max_length=WHY_MAX)


class ReplacedOut(serializers.Serializer[Any]):
    replaced = serializers.IntegerField(help_text="Less than asked for: somebody else has replaced the rest.")


EXAMPLE = OpenApiExample(
    "Two codes of one line",
    value={"texts": [{"line": 71, "slot": 0, "text": "AAAA-1"}, {"line": 71, "slot": 1, "text": "AAAA-2"}]},
    request_only=True,
)


class FillInApi(MerchantApiView):
    scope_to_write = MerchantScope.ORDERS_WRITE

    @extend_schema(
        operation_id="merchant_orders_fill_in",
        request=FillInInput,
        parameters=[ONCE],
        examples=[EXAMPLE],
        responses={200: MerchantOrderInFullOut, **refusals(400, 404, 409, 415, 422)},
    )
    @method_decorator(sensitive_variables())
    def post(self, request: Request, number: str) -> Response:
        """Hand over what was made by hand: all of it, or nothing. The buyer is mailed."""
        wanted = FillInInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        order, body = order_called(request, number), wanted.validated_data

        @sensitive_variables()
        def act() -> Response:
            texts = {(text["line"], text["slot"]): text["text"] for text in body["texts"]}
            fill_in(order, texts, actor=actor_of(request), now=db_now())
            return Response(told_in_full(order_called(request, number)))

        return once(request, body, act)


class CorrectionApi(MerchantApiView):
    scope_to_write = MerchantScope.ORDERS_WRITE

    @extend_schema(
        operation_id="merchant_orders_correct",
        request=CorrectionInput,
        parameters=[ONCE],
        responses={200: MerchantOrderInFullOut, **refusals(400, 404, 409, 415, 422)},
    )
    @method_decorator(sensitive_variables())
    def post(self, request: Request, number: str) -> Response:
        """Another text in the place of one that was filled in. The buyer is mailed."""
        wanted = CorrectionInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        order, body = order_called(request, number), wanted.validated_data

        @sensitive_variables()
        def act() -> Response:
            delivered = _delivered(order, body["line"]).filter(slot=body["slot"]).first()
            if delivered is None:
                raise NotToBeReplaced
            replace(delivered, body["text"], actor=actor_of(request), now=db_now())
            return Response(told_in_full(order_called(request, number)))

        return once(request, body, act)


class ReplacementApi(MerchantApiView):
    scope_to_write = MerchantScope.ORDERS_WRITE

    @extend_schema(
        operation_id="merchant_orders_replace",
        request=ReplacementInput,
        parameters=[ONCE],
        responses={200: ReplacedOut, **refusals(400, 404, 409, 415, 422)},
    )
    def post(self, request: Request, number: str) -> Response:
        """New keys in the place of bad ones: all of them or none. The buyer is mailed."""
        wanted = ReplacementInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        order = order_called(request, number)
        return once(request, wanted.validated_data, lambda: _replaced(request, order, wanted.validated_data))


class HelpApi(MerchantApiView):
    scope_to_write = MerchantScope.ORDERS_WRITE

    @extend_schema(
        operation_id="merchant_orders_help",
        request=None,
        parameters=[ONCE],
        responses={200: MerchantOrderInFullOut, **refusals(400, 404, 409, 422)},
    )
    def post(self, request: Request, number: str, kind: str) -> Response:
        """What the buttons of an order's page do: `deliver` it again, `mail` its keys again, or `ask` the
        provider now whether it is paid.
        """
        if kind not in HELP:
            raise NotHere
        order = order_called(request, number)

        def act() -> Response:
            HELP[kind].act(order, actor=actor_of(request), now=db_now())
            return Response(told_in_full(order_called(request, number)))

        return once(request, {}, act)


def _delivered(order: Order, line: int) -> QuerySet[DeliveredKey]:
    return DeliveredKey.objects.filter(item__order=order, item=line, replaced_by=None)


def _replaced(request: Request, order: Order, said: Mapping[str, Any]) -> Response:
    """What a person filled in, or all buyers get, is put right where it was entered."""
    delivered = _delivered(order, said["line"]).filter(slot__in=said["slots"]).select_related("item")
    bad = list(delivered.filter(card_key__batch__origin=KeyBatch.Origin.IMPORTED))
    if len(bad) < len(set(said["slots"])):
        raise NotReplaceable(_("Not all of these slots hold keys that were imported."))
    count = replace_keys(
        bad[0].item,
        bad=[slot.card_key_id for slot in bad],
        reason=said["reason"],
        actor=actor_of(request),
        now=db_now(),
    )
    return Response({"replaced": count})
