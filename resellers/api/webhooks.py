"""A reseller's webhooks, what became of their deliveries, and sending one again."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.views.decorators.debug import sensitive_variables
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cardshop.common.api import StrictSerializer
from cardshop.common.clock import db_now
from cardshop.common.errors import NotHere
from cardshop.common.problems import CONTENT_TYPE
from resellers.api.once import ONCE, once
from resellers.api.pages import PageInput, on_page, page_asked_for
from resellers.api.problems import REFUSALS, Problem
from resellers.api.views import ResellerApiView, reseller_of
from resellers.models import EventKind, Scope
from resellers.models.webhook import ADDRESS_LENGTH
from resellers.webhooks.endpoints import (
    deliveries_of,
    make_endpoint,
    pause,
    remove,
    resume,
    webhook_called,
    webhooks_of,
)
from resellers.webhooks.replaying import replay

MISTAKES = {(status, CONTENT_TYPE): Problem for status in (400, 404, 409, 422)}


class WebhookInput(StrictSerializer):
    url = serializers.CharField(max_length=ADDRESS_LENGTH, help_text="It has to begin with https://.")
    kinds = serializers.MultipleChoiceField(choices=EventKind.values, allow_empty=False)


class WebhookOut(serializers.Serializer[Any]):
    key = serializers.CharField(source="name", help_text="It stands in every call, as Cardshop-Key.")
    url = serializers.CharField()
    kinds = serializers.ListField(child=serializers.ChoiceField(EventKind.values))
    created_at = serializers.DateTimeField()
    failing_since = serializers.DateTimeField(allow_null=True)
    failures = serializers.IntegerField(help_text="In a row, since the last call that succeeded.")
    paused_at = serializers.DateTimeField(allow_null=True, help_text="Deliveries wait until it is resumed.")
    paused_because = serializers.CharField()


class NewWebhookOut(WebhookOut):
    secret = serializers.CharField(help_text="Calls are signed with it. It is told this once.")


class WebhooksOut(serializers.Serializer[Any]):
    webhooks = WebhookOut(many=True)


class DeliveryOut(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="uid", help_text="It stands in the call, as Cardshop-Delivery.")
    webhook = serializers.CharField(source="endpoint.name")
    event = serializers.UUIDField(source="event.uid")
    kind = serializers.ChoiceField(EventKind.values, source="event.kind")
    attempts = serializers.IntegerField()
    delivered_at = serializers.DateTimeField(allow_null=True)
    gave_up_at = serializers.DateTimeField(allow_null=True)
    next_at = serializers.DateTimeField(allow_null=True)
    last_status = serializers.IntegerField(allow_null=True)
    last_error = serializers.CharField()


class DeliveriesOut(serializers.Serializer[Any]):
    deliveries = DeliveryOut(many=True)
    next = serializers.CharField(allow_null=True, help_text="Send it as `after`; null: there are no more.")


class WebhooksApi(ResellerApiView):
    scope = scope_to_write = Scope.WEBHOOKS

    @extend_schema(operation_id="webhooks_list", responses={200: WebhooksOut, **REFUSALS})
    def get(self, request: Request) -> Response:
        """Where events are sent to."""
        present = webhooks_of(reseller_of(request))
        return Response({"webhooks": WebhookOut(present, many=True).data})

    @extend_schema(
        operation_id="webhooks_create",
        request=WebhookInput,
        parameters=[ONCE],
        responses={201: NewWebhookOut, **MISTAKES, **REFUSALS},
    )
    def post(self, request: Request) -> Response:
        """Have events sent to an address."""
        wanted = WebhookInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        reseller, said = reseller_of(request), wanted.validated_data
        said["kinds"] = sorted(said["kinds"])

        @sensitive_variables()
        def act() -> Response:
            endpoint, secret = make_endpoint(reseller.shop, reseller=reseller, **said, now=db_now())
            endpoint.secret = secret  # type: ignore[attr-defined]
            return Response(NewWebhookOut(endpoint).data, 201)

        return once(request, said, act)


class WebhookApi(ResellerApiView):
    scope = scope_to_write = Scope.WEBHOOKS

    @extend_schema(
        operation_id="webhooks_delete", parameters=[ONCE], responses={204: None, **MISTAKES, **REFUSALS}
    )
    def delete(self, request: Request, key: str) -> Response:
        """It hears nothing any more, and what it was promised is not sent."""

        def act() -> Response:
            remove(webhook_called(reseller_of(request), key), now=db_now())
            return Response(status=204)

        return once(request, {}, act)


class WebhookPauseApi(ResellerApiView):
    scope = scope_to_write = Scope.WEBHOOKS

    @extend_schema(
        operation_id="webhooks_pause",
        request=None,
        parameters=[ONCE],
        responses={200: WebhookOut, **MISTAKES, **REFUSALS},
    )
    def post(self, request: Request, key: str) -> Response:
        """What is promised to it waits until it is resumed."""
        return once(request, {}, lambda: _changed(request, key, pause))


class WebhookResumeApi(ResellerApiView):
    scope = scope_to_write = Scope.WEBHOOKS

    @extend_schema(
        operation_id="webhooks_resume",
        request=None,
        parameters=[ONCE],
        responses={200: WebhookOut, **MISTAKES, **REFUSALS},
    )
    def post(self, request: Request, key: str) -> Response:
        """Of one that is paused: what has waited is sent."""
        return once(request, {}, lambda: _changed(request, key, resume))


class DeliveriesApi(ResellerApiView):
    scope = scope_to_write = Scope.WEBHOOKS

    @extend_schema(
        operation_id="webhook_deliveries_list",
        parameters=[PageInput],
        responses={200: DeliveriesOut, (400, CONTENT_TYPE): Problem, **REFUSALS},
    )
    def get(self, request: Request) -> Response:
        """What became of each delivery, the oldest first."""
        deliveries, after = on_page(deliveries_of(reseller_of(request)), page_asked_for(request))
        return Response({"deliveries": DeliveryOut(deliveries, many=True).data, "next": after})


class DeliveryReplayApi(ResellerApiView):
    scope = scope_to_write = Scope.WEBHOOKS

    @extend_schema(
        operation_id="webhook_deliveries_replay",
        request=None,
        parameters=[ONCE],
        responses={202: DeliveryOut, **MISTAKES, **REFUSALS},
    )
    def post(self, request: Request, uid: UUID) -> Response:
        """Send it again, under the same id."""
        mine = deliveries_of(reseller_of(request)).filter(uid=uid)

        def act() -> Response:
            replay(mine, now=db_now())
            if (delivery := mine.first()) is None:
                raise NotHere
            return Response(DeliveryOut(delivery).data, 202)

        return once(request, {}, act)


def _changed(request: Request, key: str, change: Callable[..., bool]) -> Response:
    reseller = reseller_of(request)
    change(webhook_called(reseller, key), now=db_now())
    return Response(WebhookOut(webhook_called(reseller, key)).data)
