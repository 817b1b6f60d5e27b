"""Whether two kinds of samples differ by more than chance: a permutation test of their medians.

What noise alone does is seen when the labels are drawn anew: then no difference can be one of the kinds. That
holds while the kinds overlap. Of two that are far apart any random half leans to one of them, and then its
median is that one's: relabelled, they differ by as much as before, and the test sees nothing where everybody
would. So the labels are drawn once more over what is left when each kind's own median is taken away, which is
noise and nothing else.
https://en.wikipedia.org/wiki/Permutation_test
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from statistics import median

RELABELLINGS = 1_000
TIMES_CHANCE = 3.0


@dataclass(frozen=True)
class Verdict:
    """Seconds: `difference` of the medians, and the 95th percentile of its size by chance: of all samples
    together, and of their noise alone.
    """

    difference: float
    of_all: float
    of_noise: float

    @property
    def ratio(self) -> float:
        """Times that the difference is larger than chance: the stricter of the two."""
        return abs(self.difference) / min(self.of_all, self.of_noise)

    @property
    def tells_nothing(self) -> bool:
        return self.ratio <= TIMES_CHANCE


def judge(known: Sequence[float], unknown: Sequence[float], random: Random) -> Verdict:
    """Of as many samples of each kind."""
    noise = [each - median(kind) for kind in (known, unknown) for each in kind]
    return Verdict(
        difference=median(known) - median(unknown),
        of_all=_by_chance([*known, *unknown], random),
        of_noise=_by_chance(noise, random),
    )


def _by_chance(samples: list[float], random: Random) -> float:
    half, sizes = len(samples) // 2, []
    for _ in range(RELABELLINGS):
        random.shuffle(samples)
        sizes.append(abs(median(samples[:half]) - median(samples[half:])))
    return sorted(sizes)[int(0.95 * RELABELLINGS)]
