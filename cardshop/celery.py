"""The Celery application: wakes workers, and beats the sweeps that need no wake-up.

A lost message never loses work: what must happen stands in the outbox or in a row's own state,
and a sweep finds it.
"""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cardshop.settings.development")

app = Celery("cardshop")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
