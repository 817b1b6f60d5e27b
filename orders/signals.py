"""What rooms above may listen to. Receivers run in the transaction: what they write happens with it, and what
they raise ends it. So they are few, and quick.
"""

from django.dispatch import Signal

# With `orders`, which have moved together and show their new status, `before`, `after`, `reason` and `now`.
moved = Signal()
