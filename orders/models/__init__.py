"""Who gets it: orders and what belongs to them, and the line in front of them."""

from orders.models.line import ProofOfWork, Registration, Sale, Ticket, Wave
from orders.models.lookup import LookupPassword, LookupRequest
from orders.models.order import DeliveredKey, Order, OrderEvent, OrderItem, Reservation

__all__ = [
    "DeliveredKey",
    "LookupPassword",
    "LookupRequest",
    "Order",
    "OrderEvent",
    "OrderItem",
    "ProofOfWork",
    "Registration",
    "Reservation",
    "Sale",
    "Ticket",
    "Wave",
]
