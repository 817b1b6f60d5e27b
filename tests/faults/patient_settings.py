"""Nobody is ever refused for having waited too long: the control of test_overload."""

from cardshop.settings.test import *  # noqa: F403

SHED_BROWSING_AFTER = SHED_BUYING_AFTER = float("inf")
