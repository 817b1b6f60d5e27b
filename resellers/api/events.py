"""The feed: all that has happened, from wherever a program has read it to before."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cardshop.common.api import StrictSerializer
from cardshop.common.problems import CONTENT_TYPE
from resellers.api.pages import MOST
from resellers.api.problems import REFUSALS, Problem
from resellers.api.views import ResellerApiView, reseller_of
from resellers.events.feed import behind, events_for, read_cursor
from resellers.models import Event, EventKind, Scope


class FeedInput(StrictSerializer):
    after = serializers.CharField(
        max_length=120,
        required=False,
        default="",
        allow_blank=True,
        help_text="`next` of the page before, or any `cursor`. Without it: from the oldest event on.",
    )
    limit = serializers.IntegerField(min_value=1, max_value=MOST, required=False, default=50)


class EventOut(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="uid", help_text="The same wherever and however often it is told.")
    kind = serializers.ChoiceField(EventKind.values)
    subject = serializers.CharField(help_text="An order's number, or a variant's code.")
    at = serializers.DateTimeField()
    data = serializers.JSONField()  # type: ignore[assignment]
    cursor = serializers.SerializerMethodField(help_text="Read on from behind it.")

    def get_cursor(self, event: Event) -> str:
        return str(behind(event))


class EventsOut(serializers.Serializer[Any]):
    events = EventOut(many=True)
    next = serializers.CharField(help_text="Send it as `after`, now or when there may be more.")
    has_more = serializers.BooleanField()


class EventsApi(ResellerApiView):
    scope = Scope.ORDERS

    @extend_schema(
        operation_id="events_list",
        parameters=[FeedInput],
        responses={200: EventsOut, (400, CONTENT_TYPE): Problem, **REFUSALS},
    )
    def get(self, request: Request) -> Response:
        """What has happened to your orders, to stock and to prices, the oldest first and nothing left out."""
        asked = FeedInput(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        after, limit = read_cursor(asked.validated_data["after"]), asked.validated_data["limit"]
        found = events_for(reseller_of(request), after, limit + 1)
        shown = found[:limit]
        return Response(
            {
                "events": EventOut(shown, many=True).data,
                "next": str(behind(shown[-1]) if shown else after),
                "has_more": len(found) > limit,
            }
        )
