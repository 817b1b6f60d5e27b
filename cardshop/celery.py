"""The Celery application: wakes workers, and beats the sweeps that need no wake-up.

A lost message never loses work: what must happen stands in the outbox or in a row's own state,
and a sweep finds it.
"""

import os
import time
from typing import Any

from celery import Celery
from celery.signals import task_postrun, task_prerun, worker_init

from cardshop.common.tracing import start_tracing
from cardshop.outbox.metrics import task_seconds, tasks
from cardshop.traffic.bulkheads import pool_has

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cardshop.settings.development")

app = Celery("cardshop")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def tell_bulkheads(sender: Any, **_: object) -> None:
    pool_has(sender.concurrency)


@worker_init.connect
def trace(**_: object) -> None:
    start_tracing("worker")


@task_prerun.connect
@task_postrun.connect
def look_after_connections(**_: object) -> None:
    """As Django does between requests: what broke or became too old is closed, the rest is kept."""
    from django.db import close_old_connections

    close_old_connections()


@task_prerun.connect
def note_start(task: Any, **_: object) -> None:
    task.request.started = time.monotonic()


@task_postrun.connect
def count(task: Any, state: str | None, **_: object) -> None:
    tasks.labels(task.name, (state or "unknown").lower()).inc()
    task_seconds.labels(task.name).observe(time.monotonic() - task.request.started)
