"""From a well-formed click to a place in line, or a clear no. One Redis call, no database."""

import time
from datetime import UTC, datetime

import redis

from cardshop.common.errors import DomainError
from cardshop.traffic.addresses import address_key_of
from cardshop.traffic.metrics import redis_errors
from cardshop.traffic.passes import BuyerPass
from orders.admission.directory import Listing
from orders.admission.gate import Gate, GateShut, Refusal, Standing
from orders.admission.proof import new_challenge, spent_challenge
from orders.clicks import Click, identify
from orders.errors import (
    OPENING_SOON,
    FullUntilNextWave,
    LineFull,
    LineUnavailable,
    NotOpenYet,
    ProofNeeded,
    SaleEnded,
    SalePaused,
    SoldOut,
    TooManyTickets,
    UnknownTicket,
)
from orders.metrics import admissions

NEXT_WAVE_SOON = 300  # seconds
LOOK_IN_AT_LEAST = 20  # seconds; whoever has not asked for a minute counts as gone
_REFUSALS: dict[str, type[DomainError]] = {
    error.code: error for error in (SaleEnded, SalePaused, LineFull, SoldOut)
}


def click_of(
    listing: Listing,
    buyer: BuyerPass,
    *,
    quantity: int,
    contact_email: str,
    idempotency_key: str,
    language: str,
    address: str,
) -> Click:
    """The click, under the ticket id that all its repeats share, by whatever way they come.

    Raises BadPass for a pass that was bound to another contact.
    """
    ticket_id, buyer_key = identify(
        listing.shop_id, listing.code, buyer, idempotency_key=idempotency_key, contact_email=contact_email
    )
    return Click(
        ticket_id=ticket_id,
        quantity=quantity,
        contact_email=contact_email,
        language=language,
        buyer_key=buyer_key,
        address_key=address_key_of(address),
    )


def enter_line(listing: Listing, click: Click, *, proof: str = "") -> Standing:
    """Let the click into the line, or find the place that it has already.

    Raises NotOpenYet, SaleEnded, SalePaused, LineFull, SoldOut, ProofNeeded, TooManyTickets;
    LineUnavailable while Redis is away or being rebuilt.
    """
    try:
        said = Gate(listing.variant_id).admit(click, proof=spent_challenge(proof, click))
    except (redis.RedisError, GateShut) as error:
        admissions.labels(listing.code, LineUnavailable.code).inc()
        raise _unavailable(error) from error
    admissions.labels(listing.code, said.status if isinstance(said, Standing) else said.why).inc()
    if isinstance(said, Standing):
        return said
    if said.why == "proof":
        raise ProofNeeded(new_challenge(click, now=datetime.now(UTC)))
    raise _error_of(said)


def look_at_ticket(variant_id: int, ticket_id: str) -> Standing:
    """How the ticket stands. Raises UnknownTicket, LineUnavailable."""
    try:
        standing = Gate(variant_id).look(ticket_id)
    except (redis.RedisError, GateShut) as error:
        raise _unavailable(error) from error
    if standing is None:
        raise UnknownTicket
    return standing


def retry_after(standing: Standing) -> int:
    """Seconds until asking again can tell something new; 0 for never. Short enough to stay present."""
    match standing.status:
        case "queued":
            return max(1, min(2, standing.expected_wait))  # it is settled in a moment
        case "waiting":
            return min(20, 5 + standing.ahead // 50)
        case "registered":
            return max(1, min(LOOK_IN_AT_LEAST, standing.expected_wait))
        case _:
            return 0


def _unavailable(error: Exception) -> LineUnavailable:
    if isinstance(error, redis.RedisError):
        redis_errors.labels("line").inc()
    return LineUnavailable()


def _error_of(refusal: Refusal) -> DomainError:
    if refusal.why == "not_open":
        return NotOpenYet(max(1, min(OPENING_SOON, refusal.opens_at - int(time.time()))))
    if refusal.why == LineFull.code and refusal.opens_at:
        return FullUntilNextWave(max(1, min(NEXT_WAVE_SOON, refusal.opens_at - int(time.time()))))
    if refusal.why == "too_many":
        return TooManyTickets()
    return _REFUSALS[refusal.why]()
