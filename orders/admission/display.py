"""How far a sale is, as buyers are told it. Read without locks, never to sell by."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from cardshop.common.clock import seconds_until
from inventory.models import Selling, Variant
from orders.admission.line import Stand, stand
from orders.models import Sale

ANNOUNCED = "announced"  # not open, and not to be registered for (yet)
REGISTERING = "registering"
OPEN = "open"
TAKEN = "taken"  # everything is held or sold; who comes now waits in line
FULL = "line_full"  # and so is the line
OVER = "over"  # everything is paid for
PAUSED = "paused"
ENDED = "ended"
A_LITTLE_EARLY = 3600  # seconds; the pass in the form lives for two hours


@dataclass(frozen=True)
class SaleState:
    """A sale and how far it is at `now`; `phase` is one of the words above."""

    sale: Sale
    phase: str
    now: datetime
    has_waves: bool = False  # to come

    @property
    def is_to_come(self) -> bool:
        return self.phase in (ANNOUNCED, REGISTERING)

    @property
    def takes_clicks(self) -> bool:
        """Whether the form is shown. Also a little early: its page sends it again at the opening."""
        if self.phase == ANNOUNCED:
            return _seconds(self.registration_to_come or self.sale.opens_at, self.now) <= A_LITTLE_EARLY
        return self.phase not in (OVER, ENDED) and (self.phase != FULL or self.has_waves)

    @property
    def seconds_left(self) -> int:
        """Until the opening."""
        return _seconds(self.sale.opens_at, self.now)

    @property
    def registration_to_come(self) -> datetime | None:
        """When registration opens, if it has not yet."""
        opens = self.sale.registration_opens_at
        return opens if opens and opens > self.now else None

    @property
    def hold_minutes(self) -> int:
        return max(1, round(self.sale.hold_seconds / 60))


def sale_states(variants: Iterable[Variant], now: datetime) -> dict[int, SaleState]:
    """The sales of those variants that sell through the line, by variant id."""
    ids = [variant.pk for variant in variants if variant.selling == Selling.QUEUED]
    if not ids:
        return {}
    return {sale.variant_id: _state(sale, now) for sale in Sale.objects.filter(variant__in=ids)}


def sale_state(variant: Variant, now: datetime) -> SaleState | None:
    """The variant's sale; None for one that is not sold through the line."""
    return sale_states([variant], now).get(variant.pk)


def sale_and_stand(variant: Variant) -> tuple[Sale, Stand] | None:
    """What `state_at` goes by; None for a variant that is not sold through the line."""
    sale = Sale.objects.filter(variant=variant).first() if variant.selling == Selling.QUEUED else None
    return (sale, stand(sale)) if sale else None


def sale_to_tell_of(variants: Iterable[Variant], sales: Mapping[int, SaleState]) -> SaleState | None:
    """Of the sales of a product that is out of stock, the next one that something may be had of."""
    states = [sales[variant.pk] for variant in variants if variant.pk in sales]
    alive = (state for state in states if state.phase not in (OVER, ENDED))
    return min(alive, key=lambda state: state.seconds_left, default=None)


def wait_in_words(seconds: int) -> str:
    """An expected wait, no more exact than it is known. static/js/line.js says the same."""
    if seconds <= 20:
        return _("a few seconds")
    if seconds < 90:
        return _("about a minute")
    if seconds < 3600:
        return _("about %(minutes)s minutes") % {"minutes": round(seconds / 60)}
    return _("an hour or more")


def state_at(now: datetime, sale: Sale, standing: Stand) -> SaleState:
    """By terms and stock that were read a moment ago: a sale opens on time all the same."""
    if phase := _phase_by_terms(sale, now):
        return SaleState(sale, phase, now)
    return SaleState(sale, _phase_by_stock(standing), now, has_waves=standing.to_come > 0)


def _state(sale: Sale, now: datetime) -> SaleState:
    if phase := _phase_by_terms(sale, now):
        return SaleState(sale, phase, now)
    return state_at(now, sale, stand(sale))


def _phase_by_terms(sale: Sale, now: datetime) -> str:
    if sale.closes_at and sale.closes_at <= now:
        return ENDED
    if sale.opens_at and now < sale.opens_at:
        registers = sale.registration_opens_at and sale.registration_opens_at <= now
        return REGISTERING if registers else ANNOUNCED
    return PAUSED if sale.is_paused else ""


def _phase_by_stock(standing: Stand) -> str:
    if standing.is_over:
        return OVER
    if standing.free > 0 and not standing.waiting:
        return OPEN
    return TAKEN if standing.room > 0 else FULL


def _seconds(moment: datetime | None, now: datetime) -> int:
    return seconds_until(moment, now) if moment else 0
