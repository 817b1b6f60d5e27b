"""The development settings, ready sooner: static files as they are, neither hashed nor compressed."""

from cardshop.settings.development import *  # noqa: F403
from cardshop.settings.development import STORAGES

STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
