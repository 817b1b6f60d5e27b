"""The books of a storm, kept twice: as the rows have them, and as the shop's processes counted."""

import json
from collections import Counter
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.stack import RunningShop

READ = """
import json
from collections import Counter
from orders.models import Order, Ticket
orders = Order.objects.filter(items__variant__code={code!r})
tickets = Ticket.objects.filter(variant__code={code!r}).exclude(status="ordered")
distinct = {{*orders.values_list("ticket_id", flat=True), *tickets.values_list("ticket_id", flat=True)}}
rows = Counter(orders.values_list("status", flat=True)) + Counter(tickets.values_list("status", flat=True))
print("BOOKS", json.dumps({{"distinct": len(distinct), "orders": orders.count(), "rows": rows}}))
"""


@dataclass(frozen=True)
class Books:
    """`distinct` settled tickets; `rows`: orders by status (held, paid, lapsed, cancelled) and tickets that
    are no order (waiting, left, refused); `orders`: all of them. `counted`: by what became of tickets.
    """

    distinct: int
    orders: int
    rows: dict[str, int]
    counted: dict[str, int]

    @property
    def add_up(self) -> bool:
        return self.distinct == sum(self.rows.values())

    @property
    def uncounted(self) -> dict[str, int]:
        """What the rows have more than was counted, by kind; kinds that agree are left out."""
        in_rows = {"ordered": self.orders} | {
            kind: self.rows.get(kind, 0) for kind in ("waiting", "left", "refused")
        }
        differences = {kind: count - self.counted.get(kind, 0) for kind, count in in_rows.items()}
        return {kind: difference for kind, difference in differences.items() if difference}


def read_books(shop: RunningShop, code: str) -> Books:
    said = shop.manage("shell", "-c", READ.format(code=code))
    lines = [line for line in said.stdout.splitlines() if line.startswith("BOOKS ")]
    if not lines:
        raise RuntimeError(f"the books could not be read:\n{said.stderr[-2000:]}")
    rows = json.loads(lines[0].removeprefix("BOOKS "))
    answer = httpx.get(f"{shop.url}/metrics", trust_env=False, timeout=30)
    answer.raise_for_status()
    return Books(**rows, counted=counted(answer.text, code))


def counted(metrics: str, code: str) -> dict[str, int]:
    """What became of the variant's tickets by now: who left the line is in it no more."""
    now: Counter[str] = Counter()
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.labels.get("variant") != code:
                continue
            if sample.name == "cardshop_tickets_settled_total":
                now[sample.labels["outcome"]] += int(sample.value)
            elif sample.name == "cardshop_line_left_total":
                now[sample.labels["outcome"]] += int(sample.value)
                now["waiting"] -= int(sample.value)
    return dict(now)
