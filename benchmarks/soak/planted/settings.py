"""The soak's settings, and the bug that SOAK_BUG names."""

from benchmarks.soak.settings import *  # noqa: F403
from benchmarks.soak.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks.soak.planted.apps.PlantedConfig"]
