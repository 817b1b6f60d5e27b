"""The soak's settings, with holds short enough that orders end unpaid all the time, too."""

from benchmarks.soak.settings import *  # noqa: F403

HOLD_SECONDS = 30
