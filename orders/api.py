"""Buying through the API."""

import secrets

from django.utils.translation import get_language
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cardshop.common.api import ErrorShape, StrictSerializer
from cardshop.common.clock import db_now
from cardshop.shops.middleware import shop_of
from cardshop.traffic.actions import count_action, rate_limit_headers
from cardshop.traffic.buckets import Taken
from cardshop.traffic.passes import mint_pass, read_pass
from cardshop.traffic.same_origin import require_same_origin
from inventory.selectors import variant_for_sale
from orders.errors import NotForSale
from orders.inputs import BuyInput
from orders.models import Order
from orders.services.placing import place_order


class PassInput(StrictSerializer):
    variant = serializers.SlugField(max_length=60)


class OrderInput(BuyInput):
    variant = serializers.SlugField(max_length=60)


class PlacedOut(serializers.Serializer[Order]):
    number = serializers.CharField(help_text="For people; opens nothing.")
    token = serializers.CharField(help_text="Opens the order: keep it secret.")
    status = serializers.CharField()
    total_minor = serializers.IntegerField()
    currency = serializers.CharField()
    reserved_until = serializers.DateTimeField()


class BuyerApiView(APIView):
    """What a buyer posts must come from our own pages, or from no page at all, and not too often."""

    _taken: Taken | None = None

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        require_same_origin(request._request)
        self._taken = count_action(request._request)
        super().initial(request, *args, **kwargs)

    def finalize_response(
        self, request: Request, response: Response, *args: object, **kwargs: object
    ) -> Response:
        response.headers.setdefault("Cache-Control", "no-store")
        if self._taken:
            for name, value in rate_limit_headers(self._taken).items():
                response[name] = value
        return super().finalize_response(request, response, *args, **kwargs)


class PassesApi(BuyerApiView):
    @extend_schema(
        request=PassInput,
        responses={
            201: inline_serializer(
                "Pass",
                {"pass": serializers.CharField(), "idempotency_key": serializers.CharField()},
            ),
            404: ErrorShape,
        },
    )
    def post(self, request: Request) -> Response:
        """A pass for one anonymous buyer and one variant, good for two hours, and a fresh key."""
        wanted = PassInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        code = wanted.validated_data["variant"]
        if variant_for_sale(shop_of(request._request), code) is None:
            raise NotForSale
        minted = mint_pass(variant_code=code, now=db_now())
        return Response({"pass": minted, "idempotency_key": secrets.token_urlsafe(16)}, 201)


class OrdersApi(BuyerApiView):
    @extend_schema(
        request=OrderInput,
        responses={
            201: PlacedOut,
            400: ErrorShape,
            403: ErrorShape,
            404: ErrorShape,
            409: ErrorShape,
        },
    )
    def post(self, request: Request) -> Response:
        """Hold keys and open an order. The same pass, variant and key always answer the same order."""
        wanted = OrderInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        body, now = wanted.validated_data, db_now()
        order = place_order(
            shop=shop_of(request._request),
            variant_code=body["variant"],
            quantity=body["quantity"],
            contact_email=body["contact_email"],
            buyer=read_pass(body["pass"], variant_code=body["variant"], now=now),
            idempotency_key=body["idempotency_key"],
            language=get_language() or "",
            address=request.META["REMOTE_ADDR"],
            answers=body["answers"],
            now=now,
        )
        return Response(PlacedOut(order).data, 201)
