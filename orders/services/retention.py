"""Who stood in lines that are long gone, and who looked for an order."""

from datetime import datetime

from django.db.models import Exists, OuterRef, QuerySet

from cardshop.common.retention import Retention, delete, still_so
from orders.models import LookupPassword, LookupRequest, Registration, Ticket
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


def _passwords(moment: datetime) -> QuerySet[LookupPassword]:
    return LookupPassword.objects.filter(set_at__lt=moment)


def _lookups(moment: datetime) -> QuerySet[LookupRequest]:
    """Whose mail could never be sent: an answered one is gone at once."""
    return LookupRequest.objects.filter(asked_at__lt=moment)


# In this order: tickets go after the registrations that they came from.
RETENTIONS = [
    Retention("registrations", "RETAIN_LINE_DAYS", _registrations, delete),
    Retention("tickets of lines", "RETAIN_LINE_DAYS", _tickets, _delete_tickets),
    Retention("look-up passwords", "RETAIN_BUYERS_DAYS", _passwords, delete),
    Retention("look-ups that were never answered", "RETAIN_OUTBOX_DAYS", _lookups, delete),
]
