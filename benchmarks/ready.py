"""Importing this makes Django ready, so that models can be imported after it."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cardshop.settings.development")
django.setup()
