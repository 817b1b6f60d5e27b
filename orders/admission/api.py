"""Joining the line through the API, with every rule and every message. See `hot` for the short way."""

from datetime import timedelta

from django.utils.translation import get_language
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cardshop.common.api import ErrorShape
from cardshop.common.clock import db_now
from cardshop.shops.middleware import shop_of
from cardshop.traffic.passes import LIFETIME, bind_pass, read_pass
from inventory.models import Variant
from orders.admission.answers import ticket_body, ticket_headers, ticket_path
from orders.admission.joining import give_up, join, standing_of
from orders.admission.proof import LONGEST
from orders.admission.registering import REGISTERED
from orders.api import BuyerApiView, OrderInput
from orders.errors import UnknownTicket

TicketOut = inline_serializer(
    "Ticket",
    {
        "ticket": serializers.CharField(help_text="Keep it secret: once held, it names the order."),
        "status": serializers.ChoiceField(
            ["registered", "queued", "waiting", "held", "refused", "left"],
            help_text="registered: goes in at the opening; queued: about to be decided;"
            " waiting: in line for what comes back; held: an order to pay; refused and left are final.",
        ),
        "ahead": serializers.IntegerField(help_text="Tickets before this one."),
        "expected_wait": serializers.IntegerField(
            help_text="Seconds, roughly; if registered, until the opening."
        ),
        "order": inline_serializer(
            "TicketOrder", {"token": serializers.CharField()}, allow_null=True, required=False
        ),
        "reason": serializers.CharField(help_text="Why it was refused: line_full, sold_out, …"),
        "pass": serializers.CharField(
            required=False, help_text="After registering: the pass from now on, good with this contact only."
        ),
    },
)


class TicketInput(OrderInput):
    proof = serializers.CharField(
        max_length=LONGEST,
        required=False,
        help_text="Under pressure: the base64 of an ALTCHA v2 payload for the challenge of a 428.",
    )


class TicketsApi(BuyerApiView):
    @extend_schema(
        request=TicketInput,
        responses={
            202: TicketOut,
            400: ErrorShape,
            403: ErrorShape,
            404: ErrorShape,
            409: ErrorShape,
            428: ErrorShape,
            429: ErrorShape,
            503: ErrorShape,
        },
    )
    def post(self, request: Request) -> Response:
        """Join the line, register for its opening, or buy at once where there is none.

        Ask how it stands at `Location`, after `Retry-After`.
        The same pass, variant and idempotency key are always the same ticket.
        """
        wanted = TicketInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        body, now = wanted.validated_data, db_now()
        buyer = read_pass(body["pass"], variant_code=body["variant"], now=now)
        ticket_id, standing = join(
            shop=shop_of(request._request),
            variant_code=body["variant"],
            quantity=body["quantity"],
            contact_email=body["contact_email"],
            buyer=buyer,
            idempotency_key=body["idempotency_key"],
            language=get_language() or "",
            address=request.META["REMOTE_ADDR"],
            answers=body["answers"],
            now=now,
            proof=body.get("proof", ""),
        )
        headers = ticket_headers(standing)
        headers["Location"] = ticket_path(body["variant"], ticket_id)
        answer = ticket_body(ticket_id, standing)
        if standing.status == REGISTERED:
            opening = now + timedelta(seconds=standing.expected_wait)
            answer["pass"] = bind_pass(buyer, body["contact_email"], good_until=opening + LIFETIME)
        return Response(answer, 202, headers=headers)


class TicketApi(BuyerApiView):
    @extend_schema(responses={200: TicketOut, 404: ErrorShape, 503: ErrorShape})
    def get(self, request: Request, code: str, ticket_id: str) -> Response:
        """How the ticket stands. Ask again after `Retry-After`; 404: send the click again."""
        standing = standing_of(_variant(request, code), ticket_id)
        return Response(ticket_body(ticket_id, standing), headers=ticket_headers(standing))

    @extend_schema(responses={200: TicketOut, 404: ErrorShape, 503: ErrorShape})
    def delete(self, request: Request, code: str, ticket_id: str) -> Response:
        """Leave the line, for good. A ticket that does not wait is left as it is."""
        standing = give_up(_variant(request, code), ticket_id, now=db_now())
        return Response(ticket_body(ticket_id, standing), headers=ticket_headers(standing))


def _variant(request: Request, code: str) -> Variant:
    """Also one that is not for sale any more: who waits for it must be told."""
    if variant := Variant.objects.filter(shop=shop_of(request._request), code=code).first():
        return variant
    raise UnknownTicket
