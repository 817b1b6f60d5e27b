"""The restock line in PostgreSQL: who waits, where the variant stands, leaving and dismissing."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from django.db import connection, transaction
from django.db.models import QuerySet

from cardshop.common.locks import lock_rows
from inventory.models import Stock, Variant
from orders.admission.gate import REMEMBER, UNBOUNDED, Outcome
from orders.models import Order, Sale, Ticket
from orders.states import TicketStatus

_CHUNK = 500
STAND = """
    SELECT stock.released, stock.total, stock.claimed,
        (SELECT coalesce(sum(quantity), 0) FROM orders_ticket
         WHERE variant_id = stock.variant_id AND status = 'waiting'),
        (SELECT coalesce(sum(quantity), 0) FROM orders_reservation
         WHERE stock_id = stock.id AND status = 'held'),
        (SELECT coalesce(sum(quantity), 0) FROM orders_wave
         WHERE sale_id = %(sale)s AND released_at IS NULL)
    FROM inventory_stock AS stock WHERE stock.variant_id = %(variant)s AND stock.pool = 'public'"""


@dataclass(frozen=True)
class Stand:
    """Where a variant stands, in units: free, in line, held unpaid, in waves to come.

    For limits and display, never to sell by.
    """

    free: int
    claimed: int
    waiting: int
    line_cap: int
    unpaid: int
    to_come: int

    @property
    def room(self) -> int:
        """Units that may still be let in: what is free, and what the line has places for."""
        return self.free + max(0, self.line_cap - self.waiting)

    @property
    def sold(self) -> int:
        return self.claimed - self.unpaid

    @property
    def is_over(self) -> bool:
        """Everything there will be is paid for: nobody in line can get anything any more."""
        return self.free <= 0 and not self.unpaid and not self.to_come


def stand(sale: Sale) -> Stand:
    """Read without locks, in one statement."""
    with connection.cursor() as cursor:
        cursor.execute(STAND, {"sale": sale.pk, "variant": sale.variant_id})
        released, total, claimed, waiting, unpaid, planned = cursor.fetchone()
    if released is None:
        free = cap = UNBOUNDED
        to_come = 0
    else:
        free, cap = released - claimed, released
        to_come = min(int(planned), total - released)
    if sale.line_cap is not None:
        cap = sale.line_cap
    return Stand(free, claimed, int(waiting), cap, int(unpaid), to_come)


def waiting_tickets(sale: Sale) -> QuerySet[Ticket]:
    return Ticket.objects.filter(variant=sale.variant_id, status=TicketStatus.WAITING).order_by("place")


@transaction.atomic(durable=True)
def leave_line(variant: Variant, ticket_id: str, *, now: datetime) -> Outcome | None:
    """The buyer gives up the place; None for who does not wait (any more)."""
    (tickets,) = lock_rows(
        Ticket.objects.filter(variant=variant, ticket_id=ticket_id, status=TicketStatus.WAITING)
    )
    for ticket in tickets:
        _end([ticket], TicketStatus.LEFT, "", now)
        return _outcome(ticket)
    return None


@transaction.atomic(durable=True)
def dismiss_line(sale: Sale, reason: str, *, now: datetime) -> list[Outcome]:
    """Tell everybody who waits that nothing will come any more, if that is still so.

    It is final for them, so it is looked at again under the Stock's lock: keys may just have been
    imported, or a wave released.
    """
    _stock, tickets = lock_rows(
        Stock.objects.filter(variant=sale.variant_id, pool=Stock.PUBLIC), waiting_tickets(sale)
    )
    if not stand(sale).is_over:
        return []
    _end(tickets, TicketStatus.REFUSED, reason, now)
    return [_outcome(ticket) for ticket in tickets]


def remembered(sale: Sale, *, now: datetime) -> Iterator[list[Outcome]]:
    """What Redis should know of this variant's tickets, in portions: all that wait, whatever is recent."""
    recent = now - timedelta(seconds=REMEMBER)
    tickets = Ticket.objects.filter(variant=sale.variant_id)
    recently_ended = tickets.filter(
        status__in=[TicketStatus.LEFT, TicketStatus.REFUSED], ended_at__gte=recent
    )
    orders = Order.objects.filter(
        items__variant=sale.variant_id, placed_at__gte=recent, shop=sale.shop_id
    ).values_list("ticket_id", "buyer_key", "address_key", "token")
    yield from _portions(_outcome(ticket) for ticket in waiting_tickets(sale).iterator(_CHUNK))
    yield from _portions(_outcome(ticket) for ticket in recently_ended.iterator(_CHUNK))
    yield from _portions(
        Outcome(ticket_id, buyer_key, address_key, "held", order_token=token)
        for ticket_id, buyer_key, address_key, token in orders.iterator(_CHUNK)
    )


def unheard(sale: Sale, in_line: Collection[str]) -> Iterator[list[Outcome]]:
    """What Redis, which has these tickets in line, has missed; nothing as a rule.

    An allocator died between its commit and telling of it, or Redis came back a second behind.
    """
    waiting = set(waiting_tickets(sale).values_list("ticket_id", flat=True))
    gone = set(in_line) - waiting
    tickets = Ticket.objects.filter(ticket_id__in=(waiting - set(in_line)) | gone)
    orders = Order.objects.filter(ticket_id__in=gone).values_list(
        "ticket_id", "buyer_key", "address_key", "token"
    )
    yield from _portions(_outcome(ticket) for ticket in tickets.exclude(status=TicketStatus.ORDERED))
    yield from _portions(
        Outcome(ticket_id, buyer_key, address_key, "held", order_token=token)
        for ticket_id, buyer_key, address_key, token in orders
    )


def _portions(outcomes: Iterator[Outcome]) -> Iterator[list[Outcome]]:
    while portion := list(islice(outcomes, _CHUNK)):
        yield portion


def _end(tickets: list[Ticket], status: str, reason: str, now: datetime) -> None:
    ids = [ticket.pk for ticket in tickets]
    Ticket.objects.filter(pk__in=ids).update(status=status, reason=reason, ended_at=now)
    for ticket in tickets:
        ticket.status, ticket.reason = status, reason


def _outcome(ticket: Ticket) -> Outcome:
    return Outcome(
        ticket.ticket_id,
        ticket.buyer_key,
        ticket.address_key,
        ticket.status,
        place=ticket.place,
        reason=ticket.reason,
    )
