"""The soak's settings, for a reseller who may call as often as it likes."""

from benchmarks.soak.settings import *  # noqa: F403

RESELLER_CALLS_PER_SECOND = RESELLER_CALLS_AT_ONCE = 1_000_000
