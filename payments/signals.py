"""What rooms above may listen to, in the transaction: see `orders.signals`."""

from django.dispatch import Signal

# Money is back with its buyer. With the `refund`, its `order` as it is now, and `now`.
refunded = Signal()
