"""Who stood in lines that are long gone."""

from datetime import datetime

from django.db.models import Exists, OuterRef, QuerySet

from cardshop.common.retention import Retention, delete, still_so
from orders.models import Registration, Ticket
from orders.states import TicketStatus


def _registrations(moment: datetime) -> QuerySet[Registration]:
    """Of openings that are over. While one is not, they decide who is let in."""
    return Registration.objects.filter(
        registered_at__lt=moment, sale__opens_at__lt=moment, sale__registered_let_in=True
    )


def _tickets(moment: datetime) -> QuerySet[Ticket]:
    """Not of who is still registered, and would be let in once more."""
    registered = Registration.objects.filter(ticket_id=OuterRef("ticket_id"))
    ended = Ticket.objects.exclude(status=TicketStatus.WAITING).filter(ended_at__lt=moment)
    return ended.exclude(Exists(registered))


def _delete_tickets(rows: QuerySet[Ticket]) -> int:
    return delete(still_so(rows))


# In this order: tickets go after the registrations that they came from.
RETENTIONS = [
    Retention("registrations", "RETAIN_LINE_DAYS", _registrations, delete),
    Retention("tickets of lines", "RETAIN_LINE_DAYS", _tickets, _delete_tickets),
]
