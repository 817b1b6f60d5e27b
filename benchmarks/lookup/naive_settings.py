"""The same with look-ups as one would write them first."""

from benchmarks.lookup.settings import *  # noqa: F403
from benchmarks.lookup.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks.lookup.naive.NaiveConfig"]
