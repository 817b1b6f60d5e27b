"""The real allocator in a process of its own, and what can be read of its batches afterwards."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count

import benchmarks.ready  # noqa: F401  models come after it
from inventory.models import Variant
from orders.models import Order
from tests.stack import REPOSITORY


@dataclass(frozen=True)
class Batches:
    """(moment, orders) of each. An order's moment is when its batch began to be settled."""

    of: list[tuple[datetime, int]]

    @property
    def orders(self) -> int:
        return sum(orders for _, orders in self.of)

    @property
    def size(self) -> float:
        """Orders in a batch, on average."""
        return self.orders / max(1, len(self.of))

    @property
    def per_second(self) -> float:
        """From the beginning of the first to that of the last: whole batches, telling Redis included."""
        took = (self.of[-1][0] - self.of[0][0]).total_seconds()
        return (self.orders - self.of[-1][1]) / took


def batches_of(variant: Variant, *, since: Batches | None = None) -> Batches:
    """All of the variant's batches, or those that came after `since`."""
    orders = Order.objects.filter(items__variant=variant)
    if since is not None and since.of:
        orders = orders.filter(placed_at__gt=since.of[-1][0])
    counted = orders.order_by("placed_at").values_list("placed_at").annotate(orders=Count("pk"))
    return Batches([(moment, count) for moment, count in counted])


@contextmanager
def allocator_running() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "manage.py", "allocate"], cwd=REPOSITORY)
    try:
        yield
    finally:
        process.terminate()
        process.wait()
