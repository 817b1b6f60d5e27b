"""From cohorts to what is known of each channel. Pure: benchmarks/routing runs this very code.

A channel's rate is what came of its cohorts by what would have come by now if everybody had paid: a cohort of
which a tenth can have been heard of by now counts for a tenth. Old cohorts fade, and all before a change are
dropped: where the newest differ from the rest by more than chance would have it, only they count. What was
sent while nothing came through *any* channel says nothing about one of them, and is left out.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from payments.routing.cohorts import Cohort
from payments.routing.delays import UNKNOWN, Curve, learn


@dataclass(frozen=True)
class Knobs:
    """Chosen by benchmarks/routing on seeds of their own."""

    memory: float = 1800.0  # seconds in which a cohort's weight falls to 1/e
    most: float = 500.0  # payments that what is known of a channel may count for
    surprise: float = 2.5  # standard deviations that are a change and not chance
    prior: float = 20.0  # payments that what is known of all channels counts for
    probing: float = 0.005  # of the payments go to a channel that is not the best, whatever is known
    in_flight: float = 0.2  # of all that is not heard of yet may be with a channel that is not the best,
    in_flight_least: float = 3.0  # or so many payments
    learns_delays: bool = True  # False: as if everything were heard of at once (for the benchmark)


class Estimate(NamedTuple):
    """`trials`: payments that the rate rests upon. `in_flight`: sent, and not heard of even if paid."""

    rate: float
    trials: float
    in_flight: float

    @property
    def paid_and_not(self) -> tuple[float, float]:
        """The parameters of the Beta distribution that says where the rate may be."""
        return max(self.rate * self.trials, 0.01), max((1 - self.rate) * self.trials, 0.01)

    @property
    def deviation(self) -> float:
        return math.sqrt(self.rate * (1 - self.rate) / (self.trials + 1))


CURVES_LAST = 30.0  # seconds until they are learnt anew


@dataclass(frozen=True)
class Curves:
    """The delays, as learnt at `at`."""

    at: float
    all: Curve = UNKNOWN
    own: Mapping[int, Curve] = field(default_factory=dict)


def learn_curves(cohorts: Sequence[Cohort], now: float) -> Curves:
    return Curves(now, *learn(cohorts, now))


_GUESS = 0.7  # the rate of a method of which nothing is known
_ANYONE = Estimate(_GUESS, Knobs.prior, 0.0)


@dataclass(frozen=True)
class Snapshot:
    """What is known at `at`, seconds since 1970. `anyone` stands for a channel nothing was sent through."""

    at: float
    estimates: Mapping[int, Estimate] = field(default_factory=dict)
    anyone: Estimate = _ANYONE
    per_second: float = 0.0
    in_flight: float = 0.0

    def of(self, channel: int) -> Estimate:
        return self.estimates.get(channel, self.anyone)


# Of one channel in one cohort: weight paid, what might have been by now, the sum of the squares of what each
# payment adds to that, and by how much the cohort has faded. A bare tuple: a snapshot makes hundreds.
Row = tuple[float, float, float, float]


def estimate(cohorts: Sequence[Cohort], now: float, curves: Curves, knobs: Knobs) -> Snapshot:
    """`cohorts` newest first."""
    table: list[dict[int, Row]] = []
    in_flight: dict[int, float] = {}
    recent, recent_from = 0.0, now - _RECENT
    for cohort in cohorts:
        age, lasts = now - cohort.begins, cohort.lasts
        if age > REACH * knobs.memory:
            break
        fade = math.exp(-age / knobs.memory)
        heard_of_all = curves.all.heard(age, lasts)
        rows: dict[int, Row] = {}
        for channel, tally in cohort.tallies.items():
            own, sent, paid, errors = curves.own.get(channel), tally.sent, tally.paid, tally.errors
            heard = own.heard(age, lasts) if own else heard_of_all
            in_flight[channel] = in_flight.get(channel, 0.0) + sent * (1 - heard)
            if not knobs.learns_delays:
                heard = 1.0
            possible = sent * heard
            squares = possible * heard
            if possible < paid:  # who came sooner than anybody was expected to has come all the same
                squares += paid - possible
                possible = paid
            rows[channel] = (paid, possible + errors, squares + errors, fade)
            if cohort.begins >= recent_from:
                recent += sent
        table.append(rows)
    by_channel: dict[int, list[Row]] = {channel: [] for channel in in_flight}
    for rows in _without_what_befell_all(table) if _something_befell_all(table) else table:
        for channel, row in rows.items():
            by_channel[channel].append(row)
    paid, possible = _faded(row for of_one in by_channel.values() for row in of_one)
    usual = (paid + _GUESS * knobs.prior) / (possible + knobs.prior)
    return Snapshot(
        at=now,
        estimates={
            channel: _estimate(of_one, usual, in_flight[channel], knobs)
            for channel, of_one in by_channel.items()
        },
        anyone=Estimate(usual, knobs.prior, 0.0),
        per_second=recent / _RECENT,
        in_flight=sum(in_flight.values()),
    )


REACH = 3  # memories after which a cohort, faded to a twentieth, is not looked at any more
_RECENT = 10.0  # seconds by which it is judged how much is coming


def _estimate(rows: Sequence[Row], usual: float, in_flight: float, knobs: Knobs) -> Estimate:
    rows = since_change(rows, knobs.surprise)
    paid, possible = _faded(rows)
    shrunk = min(1.0, knobs.most / possible) if possible else 1.0
    trials = possible * shrunk + knobs.prior
    return Estimate((paid * shrunk + usual * knobs.prior) / trials, trials, in_flight)


def _faded(rows: Iterable[Row]) -> tuple[float, float]:
    paid = possible = 0.0
    for came, might, _, fade in rows:
        paid += came * fade
        possible += might * fade
    return paid, possible


def since_change(rows: Sequence[Row], surprise: float) -> Sequence[Row]:
    """The newest rows, as far back as one rate explains them all.

    Splits where the newer side is the least likely to have come from the older side's rate, as long as that
    is rarer than chance is in `surprise` standard deviations.
    """
    paid = list(accumulate(row[0] for row in rows))
    possible = list(accumulate(row[1] for row in rows))
    squares = list(accumulate(row[2] for row in rows))
    size = len(rows)
    for _ in range(_CHANGES if rows else 0):
        best, cut = surprise * surprise / 2, 0
        all_paid, all_possible = paid[size - 1], possible[size - 1]
        for split in range(1, size):
            newer = possible[split - 1]
            if newer < _LEAST_NEWER:
                continue
            older = all_possible - newer
            if older < _LEAST_OLDER:
                break
            came = paid[split - 1]
            rate = (all_paid - came + 0.5) / (older + 1)
            if abs(came - rate * newer) < 1 + 0.1 * newer:
                continue  # far from unlikely, or of no consequence
            # The older side's rate is not known exactly either.
            evidence = _unlikely(came, newer, squares[split - 1], rate) / (1 + newer / older)
            if evidence > best:
                best, cut = evidence, split
        if not cut:
            break
        size = cut
    return rows[:size]


_CHANGES = 4  # that are looked for, newest last
_LEAST_NEWER, _LEAST_OLDER = 2.0, 5.0  # payments on either side of a change


def _unlikely(paid: float, possible: float, squares: float, rate: float) -> float:
    """By how much the logarithm of the likelihood is better with the rate that was seen than with `rate`.

    As if all payments had the same share heard of by now: then their number is `possible` by that share.
    """
    heard = min(max(squares / possible, 1e-6), 1.0)
    count = possible / heard
    expected = min(max(rate, 0.05), 0.95) * heard
    seen = min(max(paid / count, 1e-9), 1 - 1e-9)
    missed = max(count - paid, 0.0)
    return paid * math.log(seen / expected) + missed * math.log((1 - seen) / (1 - expected))


def _something_befell_all(table: Sequence[dict[int, Row]]) -> bool:
    """Whether there is a stretch to be looked into: most of the time there is none, and this is cheap."""
    paid = possible = 0.0
    for rows in table:
        for came, might, _, _ in rows.values():
            paid += came
            possible += might
        if possible >= _WITNESSES:
            if paid < _DOWN * possible:
                return True
            paid = possible = 0.0
    return False


def _without_what_befell_all(table: list[dict[int, Row]]) -> list[dict[int, Row]]:
    """Without the stretches in which hardly anything came through any channel: the method was down, or the
    network, or nobody wanted to pay; the channels are as good as they were.
    """
    usual = _usual_rates(table)
    kept: list[dict[int, Row]] = []
    stretch: list[dict[int, Row]] = []
    paid: dict[int, float] = {}
    expected: dict[int, float] = {}
    for rows in table:
        stretch.append(rows)
        for channel, (came, might, *_) in rows.items():
            paid[channel] = paid.get(channel, 0.0) + came
            expected[channel] = expected.get(channel, 0.0) + might * usual[channel]
        busiest = max(expected, key=expected.__getitem__)
        others = sum(expected.values()) - expected[busiest]
        if others < _WITNESSES and len(stretch) < _LONGEST_STRETCH:
            continue
        others_paid = sum(paid.values()) - paid[busiest]
        is_void = (
            others >= _WITNESSES
            and paid[busiest] < _DOWN * expected[busiest]
            and others_paid < _DOWN * others
        )
        if not is_void:
            kept.extend(stretch)
        stretch, paid, expected = [], {}, {}
    return kept + stretch


_WITNESSES = 3.0  # payments that should have come through channels other than the busiest
_LONGEST_STRETCH = 12  # cohorts
_DOWN = 0.35  # of what is usual


def _usual_rates(table: list[dict[int, Row]]) -> dict[int, float]:
    paid: dict[int, float] = {}
    possible: dict[int, float] = {}
    for rows in table:
        for channel, (came, might, *_) in rows.items():
            paid[channel] = paid.get(channel, 0.0) + came
            possible[channel] = possible.get(channel, 0.0) + might
    return {channel: (paid[channel] + 1) / (possible[channel] + 2) for channel in paid}
