"""The soak's settings, in which what suppliers have to be asked is looked for every second."""

from benchmarks.soak.settings import *  # noqa: F403
from benchmarks.soak.settings import CELERY_BEAT_SCHEDULE

CELERY_BEAT_SCHEDULE = {
    **CELERY_BEAT_SCHEDULE,
    "suppliers.forward": {"task": "suppliers.forward", "schedule": 1, "options": {"expires": 1}},
}
