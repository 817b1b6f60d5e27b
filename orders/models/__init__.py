"""Who gets it: orders and what belongs to them, and the line in front of them."""

from orders.models.line import Registration, Sale, Ticket, Wave
from orders.models.order import DeliveredKey, Order, OrderEvent, OrderItem, Reservation

__all__ = [
    "DeliveredKey",
    "Order",
    "OrderEvent",
    "OrderItem",
    "Registration",
    "Reservation",
    "Sale",
    "Ticket",
    "Wave",
]
