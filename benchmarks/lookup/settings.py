"""The soak's settings, with a stranger whom nobody stops."""

from benchmarks.soak.settings import *  # noqa: F403

LOOKUPS_PER_NUMBER = LOOKUP_MAILS_PER_CONTACT = (1_000_000, 1_000_000)
LOOKUPS_PER_ADDRESS = "1000000/m"
