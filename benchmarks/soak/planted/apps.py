"""Plants the bug once every app is loaded."""

import os

from django.apps import AppConfig

from benchmarks.soak.planted.bugs import BUG


class PlantedConfig(AppConfig):
    name = "benchmarks.soak.planted"
    label = "soak_planted"

    def ready(self) -> None:
        from benchmarks.soak.planted import patches  # models are there only now

        patches.plant(os.environ[BUG])
