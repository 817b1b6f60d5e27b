"""What a merchant sees of the routing: who works how well, how sure that is, and where payments went."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from cardshop.shops.models import Shop
from payments.models import PaymentChannel
from payments.routing import state
from payments.routing.cohorts import KEPT, Cohort, Tally
from payments.routing.estimator import Estimate
from payments.routing.router import KNOBS, place_of
from payments.selectors import channels_of

BAR = 300  # seconds that one point of the history stands for
_LATELY = 3600  # seconds that shares are of


@dataclass(frozen=True)
class Point:
    """What was sent in the BAR seconds from `begins` on. Fractions: who sends often counts less each time."""

    begins: datetime
    sent: float
    paid: float
    errors: float


@dataclass(frozen=True)
class ChannelSeen:
    """`low` and `high`: where the rate is 19 times out of 20. `share` of the method's payments in the last
    hour. `trials`: payments that the rate rests upon, 0 when nothing is known.
    """

    channel: PaymentChannel
    rate: float
    low: float
    high: float
    trials: float
    share: float
    history: list[Point]


def snapshot_for_people(shop: Shop, *, now: datetime) -> dict[str, list[ChannelSeen]]:
    """By method, in the merchant's order. While Redis is away, nothing is known of any channel."""
    channels = sorted(channels_of(shop), key=lambda channel: channel.method)
    by_method = groupby(channels, key=lambda channel: channel.method)
    return {method: _seen(list(of_one), now.timestamp()) for method, of_one in by_method}


def success_rates(channels: Iterable[PaymentChannel], *, now: datetime) -> dict[int, float]:
    """By channel, of those who begin to pay, how many do, where that is known; one look at Redis a method."""
    rates: dict[int, float] = {}
    for place, of_place in groupby(sorted(channels, key=_place_key), key=place_of):
        known = state.snapshot(place, at=now.timestamp(), knobs=KNOBS)
        for channel in of_place:
            if known and (estimate := known.of(channel.pk)).trials - KNOBS.prior >= 1:
                rates[channel.pk] = estimate.rate
    return rates


def _place_key(channel: PaymentChannel) -> tuple[int, str]:
    return channel.shop_id, channel.method


def _seen(channels: Sequence[PaymentChannel], at: float) -> list[ChannelSeen]:
    place = place_of(channels[0])
    known = state.snapshot(place, at=at, knobs=KNOBS)
    cohorts = state.cohorts_of(place, at=at)
    lately = [cohort for cohort in cohorts if cohort.begins >= at - _LATELY]
    in_all = sum(tally.sent for cohort in lately for tally in cohort.tallies.values())
    seen = []
    for channel in channels:
        estimate = known.of(channel.pk) if known else Estimate(0.0, 0.0, 0.0)
        low, high = _interval(estimate)
        sent = sum(tally.sent for tally in _of(channel.pk, lately))
        seen.append(
            ChannelSeen(
                channel=channel,
                rate=estimate.rate,
                low=low,
                high=high,
                trials=max(0.0, estimate.trials - KNOBS.prior),
                share=sent / in_all if in_all else 0.0,
                history=_history(channel.pk, cohorts, at),
            )
        )
    return seen


def _interval(estimate: Estimate) -> tuple[float, float]:
    """Wilson's, for 95 %: it stays between 0 and 1 also for few payments."""
    rate, trials = estimate.rate, estimate.trials
    if trials <= 0:
        return 0.0, 1.0
    z = 1.96
    centre = rate + z * z / (2 * trials)
    half = z * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    return (centre - half) / (1 + z * z / trials), (centre + half) / (1 + z * z / trials)


def _of(channel: int, cohorts: Iterable[Cohort]) -> list[Tally]:
    return [cohort.tallies[channel] for cohort in cohorts if channel in cohort.tallies]


def _history(channel: int, cohorts: Iterable[Cohort], at: float) -> list[Point]:
    """Oldest first, without gaps."""
    last = int(at) // BAR
    sums = {number: [0.0, 0.0, 0.0] for number in range(last - KEPT // BAR + 1, last + 1)}
    for cohort in cohorts:
        if (tally := cohort.tallies.get(channel)) and (bar := sums.get(cohort.begins // BAR)):
            bar[0] += tally.sent
            bar[1] += tally.paid
            bar[2] += tally.errors
    return [Point(datetime.fromtimestamp(number * BAR, UTC), *bar) for number, bar in sums.items()]
