"""The allocator: takes what has come, settles it in one transaction, tells Redis, and begins again.

A batch is whatever arrived while the one before it was being settled and for a moment after it, so a lone
buyer waits milliseconds and a rush shares its commits. What is still in the stream is not settled: an
allocator that dies leaves its batch there for the next one.
"""

import math
import secrets
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from threading import Event

import redis
import structlog
from django.db import DatabaseError, DataError, IntegrityError, connection
from django.db.models import F

from cardshop.common.clock import db_now
from cardshop.common.tracing import span
from cardshop.traffic.metrics import redis_errors
from orders.admission.gate import PRESENT, UNBOUNDED, Entry, Gate, Outcome
from orders.admission.leases import LEASE, give_up_lease, hold_lease
from orders.admission.line import (
    PORTION,
    Stand,
    dismiss_in_vain,
    in_portions,
    remembered,
    stand,
    unheard,
    waiting_tickets,
)
from orders.admission.opening import Opening
from orders.admission.proof import Pressure
from orders.admission.sales import needs_serving
from orders.admission.settling import settle
from orders.admission.waves import next_wave_at, release_due_waves
from orders.metrics import batch_clicks, batch_seconds
from orders.models import ProofOfWork, Sale
from orders.states import TicketStatus

logger = structlog.get_logger(__name__)

BATCH = 500
# seconds after a batch that was not full. A transaction costs about the same for one click as for thirty:
# one for each click would take the processor from those whose clicks are still on their way here.
GATHER = 0.03
WAIT_MS = 250  # for the first click, and so between two looks at the line
LOOK_EVERY = 0.5  # seconds between two looks at PostgreSQL while clicks keep coming
COMPARE_EVERY = 10.0  # seconds between two comparisons of the whole line in Redis with PostgreSQL's
PAUSE_AFTER_FAILURE = 1.0
# After a rebuild nobody's presence is known; pages ask again within this time.
REST_AFTER_REBUILD = 20.0
LAPSING_SHARE = 0.2  # of unpaid holds, for the wait that people in line are told


class Allocator:
    """Serves one variant's line until `stop` is set. Needs a database connection of its own thread."""

    def __init__(self, sale: Sale, stop: Event) -> None:
        self.sale_id, self.variant_id = sale.pk, sale.variant_id
        self.gate = Gate(sale.variant_id)
        self._sale, self._code = sale, sale.variant.code
        self._pressure = Pressure()
        self.holder = f"{socket.gethostname()[:40]}:{secrets.token_hex(8)}"
        self._stop = stop
        self._lease_until = 0.0
        self._look_at = 0.0
        self._compare_at = 0.0
        self._line_rests_until = 0.0
        self._rate = 0.0
        self._opening = Opening(self.gate)

    def run(self) -> None:
        while not self._stop.is_set():
            try:
                if self._has_lease():
                    if 0 < self.step(wait_ms=WAIT_MS) < BATCH:
                        self._stop.wait(GATHER)
                else:
                    self._stop.wait(1.0)
            except (redis.RedisError, DatabaseError) as error:
                if isinstance(error, redis.RedisError):
                    redis_errors.labels("allocator").inc()
                logger.warning(
                    "allocator could not go on", variant=self.variant_id, error=type(error).__name__
                )
                connection.close()
                self._compare_at = 0.0  # perhaps something was settled and not told, or told and forgotten
                self._stop.wait(PAUSE_AFTER_FAILURE)
            except Exception:  # one odd row must not end the line for good
                logger.exception("allocator failed", variant=self.variant_id)
                connection.close()
                self._compare_at = 0.0
                self._stop.wait(PAUSE_AFTER_FAILURE)
        self._leave()

    def look_now(self) -> None:
        """Let the next step look at the line, whatever the time."""
        self._look_at = 0.0

    def step(self, *, wait_ms: int) -> int:
        """Settle what has come, serve the line when it is time, publish; returns the clicks settled."""
        entries = self.gate.unsettled(BATCH, wait_ms=wait_ms)
        look = time.monotonic() >= self._look_at
        if not entries and not look:
            return 0
        if look:
            self._look_at = time.monotonic() + LOOK_EVERY
            self._sale = self._keep_house(Sale.objects.get(pk=self.sale_id))
        if entries:
            # As it was half a second ago, which matters to nothing but the epoch: `settle` looks anew.
            self._settle(self._sale, entries)
        return len(entries)

    # Lease

    def _has_lease(self) -> bool:
        if time.monotonic() < self._lease_until:
            return True
        asked = time.monotonic()
        if not hold_lease(self.sale_id, self.holder, now=db_now()):
            return False
        self._lease_until = asked + LEASE.total_seconds() / 3
        return True

    def _leave(self) -> None:
        with suppress(DatabaseError):  # it ends by itself
            give_up_lease(self.sale_id, self.holder)
        connection.close()

    # Newcomers

    def _settle(self, sale: Sale, entries: list[Entry]) -> None:
        began = time.monotonic()
        self._settle_batch(sale, entries)
        took = time.monotonic() - began
        batch_clicks.labels(self._code).observe(len(entries))
        batch_seconds.labels(self._code).observe(took)
        rate = len(entries) / max(took, 0.001)
        self._rate = 0.7 * self._rate + 0.3 * rate if self._rate else rate

    def _settle_batch(self, sale: Sale, entries: list[Entry]) -> None:
        try:
            with span("settle clicks", variant=self.variant_id, batch=len(entries)):
                settled = settle(sale, [entry.click for entry in entries], now=db_now())
        except (IntegrityError, DataError):
            if len(entries) == 1:
                logger.exception("click cannot be settled", variant=self.variant_id)
                self._tell(sale, [_failed(entries[0])], entries, room=0)
                return
            # One odd click must not end the line for all others.
            for entry in entries:
                self._settle_batch(self._sale, [entry])  # in its epoch, if Redis was rebuilt meanwhile
            return
        if not self._tell(sale, settled.outcomes, entries, room=settled.room):
            self._sale = self.rebuild()

    def _tell(self, sale: Sale, outcomes: list[Outcome], entries: list[Entry], *, room: int) -> bool:
        return self.gate.settle(epoch=sale.epoch, room=room, outcomes=outcomes, entries=entries)

    # The line, the terms, the waves

    def _keep_house(self, sale: Sale) -> Sale:
        """The sale comes back as it is then: in another epoch, if Redis had to be rebuilt."""
        if not needs_serving(sale) and self.gate.shut():
            return sale  # and soon nobody will serve it
        now = db_now()
        release_due_waves(sale, now=now)
        standing = stand(sale)
        if standing.somebody_waits_in_vain:
            self._send_home_in_vain(sale, now)
            standing = stand(sale)
        if standing.waiting and standing.free > 0 and time.monotonic() >= self._line_rests_until:
            self._serve_line(sale, standing, now)
            standing = stand(sale)
        if not self.gate.publish(epoch=sale.epoch, room=standing.room, fields=self._fields(sale, standing)):
            return self.rebuild()
        if self._opening.go_on(sale, now=now):
            # Those behind them are let in as soon as it is their turn.
            self._look_at = 0.0
            sale = Sale.objects.get(pk=sale.pk)
            self.gate.publish(epoch=sale.epoch, room=standing.room, fields=self._fields(sale, standing))
        if time.monotonic() >= self._compare_at:
            self._compare_at = time.monotonic() + COMPARE_EVERY
            for outcomes in unheard(sale, self.gate.in_line()):
                self.gate.note(outcomes)
        return sale

    def _serve_line(self, sale: Sale, standing: Stand, now: datetime) -> None:
        # Who wants more than there is keeps the place, and is not in the way of those behind.
        fitting = waiting_tickets(sale).filter(quantity__lte=standing.free).values_list("pk", "ticket_id")
        present = self._first_present(fitting.iterator(PORTION))
        chosen = present or [pk for pk, _ in fitting[:1]]
        settled = settle(sale, [], now=now, next_in_line=chosen, called=[] if present else chosen)
        self._tell(sale, settled.outcomes, [], room=settled.room)

    def _first_present(self, waiting: Iterable[tuple[int, str]]) -> list[int]:
        """Those of the first PORTION in which anybody is looking."""
        present_since = self.gate.clock() - PRESENT
        for portion in in_portions(waiting):
            seen = self.gate.last_seen(ticket_id for _, ticket_id in portion)
            if present := [pk for pk, ticket_id in portion if seen[ticket_id] >= present_since]:
                return present
        return []

    def _send_home_in_vain(self, sale: Sale, now: datetime) -> None:
        for outcomes in in_portions(dismiss_in_vain(sale, now=now)):
            self.gate.note(outcomes)

    def _fields(self, sale: Sale, standing: Stand) -> dict[str, object]:
        turn = sale.hold_seconds / max(1.0, standing.unpaid * LAPSING_SHARE)
        wave_at = next_wave_at(sale, now=db_now())
        return {
            "opens": math.ceil(sale.opens_at.timestamp()) if sale.opens_at else 0,
            "closes": math.floor(sale.closes_at.timestamp()) if sale.closes_at else UNBOUNDED,
            "paused": int(sale.is_paused),
            "barred": int(self._opening.bars_newcomers(sale)),
            "pressure": int(self._is_pressed(sale)),
            "next_wave": math.ceil(wave_at.timestamp()) if wave_at else 0,
            "over": "sold_out" if standing.is_over else "",
            "rate": round(self._rate, 1),
            "turn": round(turn, 2),
        }

    def _is_pressed(self, sale: Sale) -> bool:
        if sale.proof_of_work != ProofOfWork.PRESSED:
            return sale.proof_of_work == ProofOfWork.ALWAYS
        return self._pressure.is_on(self.gate.arrivals(), now=time.monotonic())

    # Redis has forgotten

    def rebuild(self) -> Sale:
        """Open a new epoch: first who waits and who holds is written back, then the gate opens."""
        Sale.objects.filter(pk=self.sale_id).update(epoch=F("epoch") + 1)
        sale = Sale.objects.get(pk=self.sale_id)
        self.gate.forget()
        for outcomes in remembered(sale, now=db_now()):
            self.gate.note(outcomes)
        standing = stand(sale)
        self.gate.publish(
            epoch=sale.epoch, room=standing.room, fields=self._fields(sale, standing), anew=True
        )
        if sale.epoch > 1:
            self._line_rests_until = time.monotonic() + REST_AFTER_REBUILD
        logger.warning("admission rebuilt", variant=self.variant_id, epoch=sale.epoch)
        return sale


def _failed(entry: Entry) -> Outcome:
    click = entry.click
    return Outcome(click.ticket_id, click.buyer_key, click.address_key, TicketStatus.REFUSED, reason="failed")
