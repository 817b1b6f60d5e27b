"""What a merchant watches while a sale goes on: the rows, and the gate as far as it can be asked."""

from dataclasses import dataclass
from datetime import datetime

import redis
from django.db import connection

from orders.admission.gate import PRESENT, Gate
from orders.admission.line import Stand, stand, waiting_tickets
from orders.admission.sales import needs_serving
from orders.models import Sale

LOOKED_AT = 1000  # tickets at the head of the line whose presence is asked for
COUNTS = """
    SELECT (SELECT count(*) FROM orders_ticket WHERE variant_id = %(variant)s AND status = 'waiting'),
           (SELECT count(*) FROM orders_registration WHERE sale_id = %(sale)s),
           count(*), count(*) FILTER (WHERE reservation.status = 'sold')
    FROM orders_orderitem AS item JOIN orders_reservation AS reservation ON reservation.item_id = item.id
    JOIN inventory_stock AS stock ON stock.id = reservation.stock_id
    WHERE item.variant_id = %(variant)s AND stock.pool = 'public'"""  # the index is that of the lines


@dataclass(frozen=True)
class AtTheGate:
    """`arrivals`: clicks that were no repeats. `admitted`: units, since this `epoch` began.

    `in_stream`: clicks that are let in and not settled yet. `rate`: tickets settled a second.
    `present`: of the first LOOKED_AT in line, those whose page has asked lately.
    """

    epoch: int
    arrivals: int
    admitted: int
    in_stream: int
    present: int
    rate: float


@dataclass(frozen=True)
class Watched:
    """A moment of a sale. `gate` is None while Redis is away or knows nothing.

    `in_line`: tickets. `held`, `paid`: orders so far, the paid ones among them.
    """

    stand: Stand
    in_line: int
    registered: int
    held: int
    paid: int
    needs_serving: bool
    is_served: bool
    is_redis_there: bool
    gate: AtTheGate | None


def watch(sale: Sale, *, now: datetime) -> Watched:
    """Read without locks, for display."""
    with connection.cursor() as cursor:
        cursor.execute(COUNTS, {"variant": sale.variant_id, "sale": sale.pk})
        in_line, registered, held, paid = cursor.fetchone()
    gate, is_redis_there = None, True
    try:
        gate = _look_at_gate(sale)
    except redis.RedisError:
        is_redis_there = False
    return Watched(
        stand=stand(sale),
        in_line=in_line,
        registered=registered,
        held=held,
        paid=paid,
        needs_serving=needs_serving(sale),
        is_served=sale.leased_until is not None and sale.leased_until > now,
        is_redis_there=is_redis_there,
        gate=gate,
    )


def _look_at_gate(sale: Sale) -> AtTheGate | None:
    gate = Gate(sale.variant_id)
    if not (said := gate.numbers()):
        return None
    waiting = waiting_tickets(sale).values_list("ticket_id", flat=True)[:LOOKED_AT]
    present_since = gate.clock() - PRESENT
    return AtTheGate(
        epoch=int(said.get("epoch", sale.epoch)),  # that of its last life, once it is shut
        arrivals=int(said["arrivals"]),
        admitted=int(said["admitted"]),
        in_stream=gate.backlog(),
        present=sum(seen >= present_since for seen in gate.last_seen(waiting).values()),
        rate=float(said.get("rate", 0)),
    )
