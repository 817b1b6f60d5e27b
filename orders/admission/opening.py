"""The opening: who registered comes in first, in an order that nobody could choose.

It depends on the sale's secret and on the buyer, never on when they registered. Who is looking goes
before who is not. What was let in is known by its rows: as long as somebody registered has neither an
order nor a ticket, they are let in (again), so a crash or an empty Redis costs nobody their turn.
"""

import hmac
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256

from django.db.models import Exists, OuterRef, QuerySet

from orders.admission.gate import PRESENT, Gate, GateShut
from orders.admission.registering import click_of_registration
from orders.admission.settling import turn_away
from orders.clicks import Click
from orders.errors import TooManyTickets
from orders.models import Order, Registration, Sale, Ticket

PORTION = 500
STRAGGLERS = timedelta(seconds=5)  # who registered in the last moment may be committed after the opening
AT_ONCE = 1.0  # seconds of turning people away before others are settled, too


class Opening:
    """The opening of one sale, as its allocator goes through with it, portion by portion."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._round: tuple[object, ...] = ()
        self._pending: list[Click] = []
        self._all_in = False

    def bars_newcomers(self, sale: Sale) -> bool:
        """Whether somebody who registered may still have to be let in first."""
        self._notice_new_round(sale)
        if sale.opens_at is None or sale.registered_let_in or self._all_in:
            return False
        return sale.registration_opens_at is not None or unsettled(sale).exists()

    def go_on(self, sale: Sale, *, now: datetime) -> bool:
        """Let in the next of them, if it is time; True if something changed for those behind them."""
        self._notice_new_round(sale)
        if sale.opens_at is None or now < sale.opens_at or sale.registered_let_in or sale.is_paused:
            return False
        first_portion = not self._pending
        self._pending = self._pending or in_order(sale, self._gate)
        try:
            fresh = self._let_in(sale, now)
        except GateShut:
            self._round = ()  # all over again, once there is a gate
            return False
        if self._pending:
            return True
        newly, self._all_in = not self._all_in, True
        if first_portion and not fresh and now >= sale.opens_at + STRAGGLERS:
            Sale.objects.filter(pk=sale.pk, opens_at=sale.opens_at, secret=sale.secret).update(
                registered_let_in=True
            )
        return newly or fresh

    def _notice_new_round(self, sale: Sale) -> None:
        this = (sale.epoch, sale.opens_at, sale.secret)
        if this != self._round:
            self._round, self._pending, self._all_in = this, [], False

    def _let_in(self, sale: Sale, now: datetime) -> bool:
        """Some of those pending; False if there was nobody among them of whom nothing was known yet."""
        until, fresh = time.monotonic() + AT_ONCE, False
        while self._pending and time.monotonic() < until:
            in_stream = self._gate.backlog()
            portion, rest = self._pending[:PORTION], self._pending[PORTION:]
            answers = dict(zip(portion, self._gate.admit_registered(portion), strict=True))
            refused = {click: why for click, why in answers.items() if why not in ("queued", "known")}
            fresh = fresh or bool(in_stream or set(answers.values()) != {"known"})
            self._pending = rest
            if refused and (in_stream or {"queued", "paused"} & set(answers.values())):
                # It may be full; but of those before them some may yet be turned away.
                self._pending = [*refused, *rest]
            elif refused:
                self._turn_away(sale, refused, now)
            if self._pending is not rest or "queued" in answers.values():
                break  # those in the stream are settled first
        return fresh

    def _turn_away(self, sale: Sale, refused: Mapping[Click, str], now: datetime) -> None:
        for why in sorted(set(refused.values())):
            reason = TooManyTickets.code if why == "too_many" else why
            clicks = [click for click, said in refused.items() if said == why]
            self._gate.note(turn_away(sale, clicks, reason, now=now))


def in_order(sale: Sale, gate: Gate) -> list[Click]:
    """Those registered who have not been settled: who is looking now, then the others."""
    clicks = {registration.ticket_id: click_of_registration(registration) for registration in unsettled(sale)}
    seen = gate.registered_seen(clicks)
    present_since = gate.clock() - PRESENT
    return sorted(
        clicks.values(),
        key=lambda click: (
            seen[click.ticket_id] < present_since,
            lot(sale, click.buyer_key),
            lot(sale, click.ticket_id),  # between those who registered one address
        ),
    )


def lot(sale: Sale, key: str) -> bytes:
    """What decides the order: drawn by the secret, and the same whenever it is asked."""
    return hmac.digest(sale.secret.encode(), key.encode(), sha256)


def unsettled(sale: Sale) -> QuerySet[Registration]:
    settled = [Exists(model.objects.filter(ticket_id=OuterRef("ticket_id"))) for model in (Order, Ticket)]
    return Registration.objects.filter(sale=sale).exclude(settled[0]).exclude(settled[1])
