"""The development shop, made quick where nothing is being tested."""

import os

from cardshop.settings import env
from cardshop.settings.development import *  # noqa: F403
from cardshop.settings.development import ADMISSION_REDIS_URL, DATABASES, STORAGES

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Unhashed names: tests need no collectstatic. The browser tests run the real thing.
STORAGES = {
    **STORAGES,
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# What is remembered for a moment would outlive the test that it is about.
SHOP_FRESH_SECONDS = 0.0
DISPLAY_SECONDS = 0.0
DB_CLOCK_SECONDS = 0.0
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
# No test lets the power fail.
DATABASES["default"]["OPTIONS"]["options"] += " -c synchronous_commit=off"

# Of several test processes (`pytest -n`) each empties its own Redis database, the first number 1. Its
# PostgreSQL database it gets from pytest-django.
if _process := os.environ.get("PYTEST_XDIST_WORKER", ""):
    _own = f"{ADMISSION_REDIS_URL.partition('?')[0]}?db={int(_process.removeprefix('gw')) + 1}"
    CACHES = env.redis_cache(_own)
    ADMISSION_REDIS_URL = _own
    CELERY_BROKER_URL = env.broker_from_redis(_own)
