"""The restock line in PostgreSQL: who waits, where the variant stands, leaving and dismissing."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import TypeVar

from django.db import connection, transaction
from django.db.models import QuerySet

from cardshop.common.locks import lock_rows
from inventory.errors import OutOfStock
from inventory.models import Stock, Variant
from orders.admission.gate import REMEMBER, UNBOUNDED, Outcome
from orders.errors import SoldOut
from orders.metrics import line_left
from orders.models import Order, Sale, Ticket
from orders.states import TicketStatus

PORTION = 500
Thing = TypeVar("Thing")
STAND = """
    SELECT stock.released, stock.total, stock.claimed, stock.short, line.units, line.most,
        (SELECT coalesce(sum(quantity), 0) FROM orders_reservation
         WHERE stock_id = stock.id AND status = 'held'),
        (SELECT coalesce(sum(quantity), 0) FROM orders_wave
         WHERE sale_id = %(sale)s AND released_at IS NULL)
    FROM inventory_stock AS stock CROSS JOIN LATERAL (
        SELECT coalesce(sum(quantity), 0) AS units, coalesce(max(quantity), 0) AS most FROM orders_ticket
        WHERE variant_id = stock.variant_id AND status = 'waiting'
    ) AS line WHERE stock.variant_id = %(variant)s AND stock.pool = 'public'"""


@dataclass(frozen=True)
class Stand:
    """Where a variant stands, in units: free, in line, held unpaid, in waves to come, claimed without a key.

    `most_wanted` is what the largest ticket in line waits for. For limits and display, never to sell by.
    """

    free: int
    claimed: int
    waiting: int
    most_wanted: int
    line_cap: int
    unpaid: int
    to_come: int
    short: int

    @property
    def room(self) -> int:
        """Units that may still be let in: what is free, and what the line has places for."""
        return self.free + max(0, self.line_cap - self.waiting)

    @property
    def sold(self) -> int:
        return self.claimed - self.unpaid

    @property
    def within_reach(self) -> int:
        """All that somebody in line can still get, and so the most that one of them can."""
        return max(0, self.free + self.unpaid + self.to_come - self.short)

    @property
    def is_over(self) -> bool:
        """Everything there will be is paid for: nobody in line can get anything any more."""
        return self.within_reach <= 0

    @property
    def somebody_waits_in_vain(self) -> bool:
        return self.most_wanted > self.within_reach


def stand(sale: Sale) -> Stand:
    """Read without locks, in one statement."""
    with connection.cursor() as cursor:
        cursor.execute(STAND, {"sale": sale.pk, "variant": sale.variant_id})
        released, total, claimed, short, waiting, most_wanted, unpaid, planned = cursor.fetchone()
    if released is None:
        free = cap = UNBOUNDED
        to_come = 0
    else:
        free, cap = released - claimed, released
        to_come = min(int(planned), total - released)
    if sale.line_cap is not None:
        cap = sale.line_cap
    return Stand(free, claimed, int(waiting), most_wanted, cap, int(unpaid), to_come, short)


def waiting_tickets(sale: Sale) -> QuerySet[Ticket]:
    return Ticket.objects.filter(variant=sale.variant_id, status=TicketStatus.WAITING).order_by("place")


@transaction.atomic(durable=True)
def leave_line(variant: Variant, ticket_id: str, *, now: datetime) -> Outcome | None:
    """The buyer gives up the place; None for who does not wait (any more)."""
    (tickets,) = lock_rows(
        Ticket.objects.filter(variant=variant, ticket_id=ticket_id, status=TicketStatus.WAITING)
    )
    for ticket in tickets:
        _end([ticket], TicketStatus.LEFT, "", now, variant=variant)
        return _outcome(ticket)
    return None


@transaction.atomic(durable=True)
def dismiss_in_vain(sale: Sale, *, now: datetime) -> list[Outcome]:
    """Send everybody home who wants more than can still come: all of them once everything is paid for.

    It is final for them, so it is judged under the Stock's lock: keys may just have been imported, or a
    wave released.
    """
    lock_rows(Stock.objects.filter(variant=sale.variant_id, pool=Stock.PUBLIC))
    standing = stand(sale)
    (tickets,) = lock_rows(waiting_tickets(sale).filter(quantity__gt=standing.within_reach))
    reason = SoldOut.code if standing.is_over else OutOfStock.code
    _end(tickets, TicketStatus.REFUSED, reason, now, variant=sale.variant)
    return [_outcome(ticket) for ticket in tickets]


def settled_outcome(variant: Variant, ticket_id: str) -> Outcome | None:
    """What PostgreSQL has made of the ticket; None for one that is not settled."""
    # The order after the ticket: what becomes one in between is found.
    ticket = Ticket.objects.filter(ticket_id=ticket_id, variant=variant).first()
    if order := Order.objects.filter(ticket_id=ticket_id, items__variant=variant).first():
        return Outcome(ticket_id, order.buyer_key, order.address_key, "held", order_token=order.token)
    return _outcome(ticket) if ticket else None


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
    yield from in_portions(_outcome(ticket) for ticket in waiting_tickets(sale).iterator(PORTION))
    yield from in_portions(_outcome(ticket) for ticket in recently_ended.iterator(PORTION))
    yield from in_portions(
        Outcome(ticket_id, buyer_key, address_key, "held", order_token=token)
        for ticket_id, buyer_key, address_key, token in orders.iterator(PORTION)
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
    yield from in_portions(_outcome(ticket) for ticket in tickets.exclude(status=TicketStatus.ORDERED))
    yield from in_portions(
        Outcome(ticket_id, buyer_key, address_key, "held", order_token=token)
        for ticket_id, buyer_key, address_key, token in orders
    )


def in_portions(things: Iterable[Thing]) -> Iterator[list[Thing]]:
    """No more at a time than Redis may be told or asked in one call, during which it answers nobody else."""
    rest = iter(things)
    while portion := list(islice(rest, PORTION)):
        yield portion


def _end(tickets: list[Ticket], status: str, reason: str, now: datetime, *, variant: Variant) -> None:
    ids = [ticket.pk for ticket in tickets]
    Ticket.objects.filter(pk__in=ids).update(status=status, reason=reason, ended_at=now)
    for ticket in tickets:
        ticket.status, ticket.reason = status, reason
    transaction.on_commit(lambda: line_left.labels(variant.code, status).inc(len(tickets)), robust=True)


def _outcome(ticket: Ticket) -> Outcome:
    return Outcome(
        ticket.ticket_id,
        ticket.buyer_key,
        ticket.address_key,
        ticket.status,
        place=ticket.place,
        reason=ticket.reason,
    )
