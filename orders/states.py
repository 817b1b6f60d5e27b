"""The state machines as tables. What is not in them cannot happen."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class OrderStatus(models.TextChoices):
    PENDING = "pending", _("waiting for payment")
    CLOSING = "closing", _("closing")
    PAID = "paid", _("paid")
    DELIVERED = "delivered", _("delivered")
    COMPLETED = "completed", _("completed")
    EXPIRED = "expired", _("expired")
    CANCELLED = "cancelled", _("cancelled")
    REFUNDED = "refunded", _("refunded")


S = OrderStatus
NEXT: dict[str, set[str]] = {
    S.PENDING: {S.CLOSING, S.PAID},
    S.CLOSING: {S.EXPIRED, S.CANCELLED, S.PAID},  # the provider is being asked
    S.PAID: {S.DELIVERED, S.REFUNDED},
    S.DELIVERED: {S.COMPLETED, S.REFUNDED},
    S.EXPIRED: {S.PAID},  # late money, and stock was still there
    S.CANCELLED: {S.PAID},
    S.COMPLETED: {S.REFUNDED},
    S.REFUNDED: set(),
}

# A hold stands behind each of these, and behind no other.
UNPAID_LIVE = {S.PENDING, S.CLOSING}
# Money came for each of these, and stands behind it still; for no other.
PAID_FOR = {S.PAID, S.DELIVERED, S.COMPLETED}


class ItemStatus(models.TextChoices):
    OPEN = "open", _("not delivered yet")
    DELIVERED = "delivered", _("delivered")
    REFUNDING = "refunding", _("being refunded")
    REFUNDED = "refunded", _("refunded")


class HoldStatus(models.TextChoices):
    HELD = "held", _("held")
    SOLD = "sold", _("sold")
    RELEASED = "released", _("released")


class TicketStatus(models.TextChoices):
    """Of a click that was settled and did not become an order at once."""

    WAITING = "waiting", _("waiting in line")
    ORDERED = "ordered", _("became an order")
    LEFT = "left", _("left the line")
    REFUSED = "refused", _("turned away")


class IllegalTransition(Exception):
    """A step that NEXT forbids: a bug, unlike a lost race."""
