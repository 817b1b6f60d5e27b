"""The feed: all that has happened, from wherever a program has read it to before."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cardshop.common.problems import CONTENT_TYPE
from resellers.api.pages import PageInput, page_of
from resellers.api.problems import REFUSALS, Problem
from resellers.api.views import ResellerApiView, reseller_of
from resellers.events.feed import events_for
from resellers.models import EventKind, Scope


class FeedInput(PageInput):
    after = serializers.RegexField(
        r"^[0-9]{1,18}$",
        required=False,
        default="0",
        help_text="`next` of the page before, or any `cursor`. Without it: from the oldest event on.",
    )


class EventOut(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="uid", help_text="The same wherever and however often it is told.")
    kind = serializers.ChoiceField(EventKind.values)
    subject = serializers.CharField(help_text="An order's number, or a variant's code.")
    at = serializers.DateTimeField()
    data = serializers.JSONField()  # type: ignore[assignment]
    cursor = serializers.CharField(source="position", help_text="Read on from behind it.")


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
        page, _ = page_of(request, FeedInput)
        found = events_for(reseller_of(request), after=page.after, limit=page.limit + 1)
        shown = found[: page.limit]
        return Response(
            {
                "events": EventOut(shown, many=True).data,
                "next": str(shown[-1].position if shown else page.after),
                "has_more": len(found) > page.limit,
            }
        )
