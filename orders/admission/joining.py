"""A click by the long way: into the line where there is one, straight to an order where there is none."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

import redis
import structlog

from cardshop.shops.models import Shop
from cardshop.traffic.passes import BuyerPass
from inventory.models import Selling, Variant
from orders.admission.directory import listing_of
from orders.admission.entering import click_of, enter_line, look_at_ticket
from orders.admission.gate import Gate, Outcome, Standing
from orders.admission.line import leave_line, settled_outcome
from orders.admission.registering import register, registered_standing, withdraw
from orders.answers import checked_answers
from orders.errors import LineUnavailable, UnknownTicket
from orders.models import Sale, Ticket
from orders.services.placing import place_order, sellable
from orders.states import TicketStatus

logger = structlog.get_logger(__name__)


def join(
    *,
    shop: Shop,
    variant_code: str,
    quantity: int,
    contact_email: str,
    buyer: BuyerPass,
    idempotency_key: str,
    language: str,
    address: str,
    now: datetime,
    proof: str = "",
    answers: Mapping[str, str] = MappingProxyType({}),
) -> tuple[str, Standing]:
    """The click's ticket id and how it stands. Raises what `enter_line`, `register`, `place_order` raise.

    Nothing is asked of buyers in a line: what they answer would travel through Redis.
    """
    variant = sellable(shop, variant_code, quantity)
    wanted: dict[str, Any] = {
        "quantity": quantity,
        "contact_email": contact_email,
        "idempotency_key": idempotency_key,
        "language": language,
        "address": address,
    }
    if variant.selling == Selling.QUEUED:
        checked_answers([], answers)
        sale = Sale.objects.filter(variant=variant).first()
        listing = listing_of(variant, sale)
        click = click_of(listing, buyer, **wanted)
        if sale and listing.registers_at(now.timestamp()):
            return click.ticket_id, register(sale, click, now=now, proof=proof)
        return click.ticket_id, enter_line(listing, click, proof=proof)
    order = place_order(shop=shop, variant_code=variant_code, buyer=buyer, now=now, answers=answers, **wanted)
    return order.ticket_id, Standing("held", order_token=order.token)


def standing_of(variant: Variant, ticket_id: str) -> Standing:
    """How the ticket stands, by Redis or, where that has forgotten it, by PostgreSQL.

    Raises UnknownTicket; LineUnavailable when only Redis could tell and does not answer.
    """
    try:
        return look_at_ticket(variant.pk, ticket_id)
    except (UnknownTicket, LineUnavailable) as unsure:
        outcome = settled_outcome(variant, ticket_id)
        if outcome is None:
            if standing := registered_standing(variant, ticket_id):
                return standing
            raise unsure
        if not isinstance(unsure.__cause__, redis.RedisError):  # else it would be waited for once more
            _tell(variant, outcome)
        return _standing_by(outcome, variant)


def _standing_by(outcome: Outcome, variant: Variant) -> Standing:
    ahead = 0
    if outcome.status == TicketStatus.WAITING:
        in_line = Ticket.objects.filter(variant=variant, status=TicketStatus.WAITING)
        ahead = in_line.filter(place__lt=outcome.place).count()
    return Standing(outcome.status, ahead=ahead, order_token=outcome.order_token, reason=outcome.reason)


def give_up(variant: Variant, ticket_id: str, *, now: datetime) -> Standing:
    """Leave the line, or withdraw a registration; any other ticket stays as it is.

    Raises UnknownTicket, LineUnavailable.
    """
    if outcome := leave_line(variant, ticket_id, now=now):
        _tell(variant, outcome)
        return Standing(TicketStatus.LEFT)
    if withdraw(variant, ticket_id):
        return Standing(TicketStatus.LEFT)
    return standing_of(variant, ticket_id)


def _tell(variant: Variant, outcome: Outcome) -> None:
    """Redis may forget it or not hear it: PostgreSQL has it, and the line is served from there."""
    try:
        Gate(variant.pk).note([outcome])
    except redis.RedisError as error:
        logger.warning("outcome unheard", variant=variant.pk, error=type(error).__name__)
