"""The development shop, made quick where nothing is being tested."""

from cardshop.settings.development import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Unhashed names: tests need no collectstatic. The browser tests run the real thing.
STORAGES = {
    **STORAGES,  # noqa: F405
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# What is remembered for a moment would outlive the test that it is about.
SHOP_FRESH_SECONDS = 0.0
DB_CLOCK_SECONDS = 0.0
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
