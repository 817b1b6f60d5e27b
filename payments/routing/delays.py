"""How long it takes until a payment is heard of, learnt from those that were.

Young cohorts only show short delays: what is learnt from is truncated on the right. So for each bin of delays
only the cohorts that are old enough to have shown it are asked, and the share up to each bin is a product
(the estimator of Lynden-Bell, 1971: Kaplan and Meier's, with time running backwards).
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from payments.routing.cohorts import COARSE, DELAYS, FINE, FINE_KEPT, Cohort

_FINE_SECONDS = FINE_KEPT + COARSE + 2 * FINE  # no fine cohort is older
_MEMORY = 900.0  # seconds; a provider's notices may become slower
# Until something was seen: half within 20 s, a tenth after more than a minute.
_GUESS = [1 / (1 + (20 / edge) ** 2) for edge in DELAYS[:-1]] + [1.0]
_GUESS_WEIGHT, _ALL_WEIGHT = 10.0, 30.0  # payments that a guess, and all channels together, stand for


@dataclass(frozen=True, slots=True)
class Curve:
    """`shares[j]`: of the payments that will be made, so many are heard of within DELAYS[j] seconds.

    `by_second[age]` is the same for whole seconds, and `fine[age]` for a fine cohort which began so long ago.
    """

    shares: tuple[float, ...]
    by_second: list[float]
    fine: list[float]

    def heard(self, age: float, lasts: int) -> float:
        """The share that is heard of by now of a cohort that began `age` seconds ago and lasts so long."""
        if lasts == FINE:
            second = int(age)
            if second < _FINE_SECONDS:
                here = self.fine[second]
                return here + (self.fine[second + 1] - here) * (age - second)
        second = int(age - lasts / 2)
        return self.by_second[max(second, 0)] if second < DELAYS[-1] else 1.0


def curve_of(shares: Sequence[float]) -> Curve:
    by_second = list(_by_second(shares))
    return Curve(tuple(shares), by_second, _of_fine_cohorts(by_second[: _FINE_SECONDS + 1]))


def _of_fine_cohorts(by_second: Sequence[float]) -> list[float]:
    """Averaged over the payments of a cohort, which came evenly while it lasted and may still be coming."""
    area = list(accumulate(((low + high) / 2 for low, high in pairwise(by_second)), initial=0.0))
    young = [0.0, *(area[age] / age for age in range(1, FINE))]
    return young + [(area[age] - area[age - FINE]) / FINE for age in range(FINE, len(area))]


def _by_second(shares: Sequence[float]) -> Iterator[float]:
    """From 0 on, straight between the edges of bins."""
    yield 0.0
    before, low = 0, 0.0
    for edge, high in zip(DELAYS, shares, strict=True):
        step = (high - low) / (edge - before)
        for seconds in range(1, edge - before + 1):
            yield low + step * seconds
        before, low = edge, high


UNKNOWN = curve_of(_GUESS)


def learn(cohorts: Iterable[Cohort], now: float) -> tuple[Curve, dict[int, Curve]]:
    """The curve of all channels together, and each channel's own as far as it is known."""
    seen: dict[int, list[dict[int, float]]] = {}
    for cohort in cohorts:
        youngest = now - cohort.begins - cohort.lasts
        shown = bisect_right(DELAYS, youngest)
        if not shown:
            continue
        weight = math.exp(-youngest / _MEMORY)
        for channel, tally in cohort.tallies.items():
            if tally.paid:
                by_shown = seen.setdefault(channel, [{} for _ in range(len(DELAYS) + 1)])[shown]
                for where, came in tally.delays.items():
                    by_shown[where] = by_shown.get(where, 0.0) + came * weight
    if not seen:
        return UNKNOWN, {}
    counted = {channel: _count(by_shown) for channel, by_shown in seen.items()}
    all_came = [sum(column) for column in zip(*(came for came, _ in counted.values()), strict=True)]
    all_sooner = [sum(column) for column in zip(*(sooner for _, sooner in counted.values()), strict=True)]
    shares = _product(all_came, all_sooner, guess=_GUESS, weight=_GUESS_WEIGHT)
    own = {
        channel: curve_of(_product(*counts, guess=shares, weight=_ALL_WEIGHT))
        for channel, counts in counted.items()
    }
    return curve_of(shares), own


def _count(by_shown: list[dict[int, float]]) -> tuple[list[float], list[float]]:
    """For each bin: who came in it, and who came in it or sooner, where both could be seen."""
    came, sooner = [0.0] * len(DELAYS), [0.0] * len(DELAYS)
    for shown, delays in enumerate(by_shown):
        so_far = 0.0
        for where in range(shown if delays else 0):
            here = delays.get(where, 0.0)
            so_far += here
            came[where] += here
            sooner[where] += so_far
    return came, sooner


def _product(came: list[float], sooner: list[float], *, guess: Sequence[float], weight: float) -> list[float]:
    shares = [1.0] * len(DELAYS)
    for where in range(len(DELAYS) - 1, 0, -1):
        guessed = weight * guess[where]
        of_those = sooner[where] + guessed
        here = came[where] + guessed - weight * guess[where - 1]
        shares[where - 1] = shares[where] * (1 - here / of_those) if of_those > 0 else 0.0
    return shares
