"""A shop on this machine: built-in servers and generated secrets below var/ where nothing is set."""

from cardshop.embedded import database_url, redis_url, var_dir
from cardshop.settings import broker, env
from cardshop.settings.base import *  # noqa: F403
from cardshop.settings.base import STORAGES

_VAR = var_dir()
DEBUG = False
SECRET_KEY = env.generated_secret("SECRET_KEY", _VAR / "secrets")
CARD_KEY_KEK = env.read("CARD_KEY_KEK") or "dev:" + env.generated_secret("CARD_KEK_DEV", _VAR / "secrets")
ALLOWED_HOSTS = [".localhost", "127.0.0.1", "[::1]", *env.names("ALLOWED_HOSTS")]
DATABASES = {"default": env.database(env.read("DATABASE_URL") or database_url(_VAR))}
_REDIS = env.read("REDIS_URL") or redis_url(_VAR)
CACHES = env.redis_cache(_REDIS)
ADMISSION_REDIS_URL = env.read("ADMISSION_REDIS_URL") or _REDIS
CELERY_BROKER_URL = env.read("BROKER_URL") or env.broker_from_redis(_REDIS)
CELERY_BROKER_TRANSPORT_OPTIONS = broker.transport_options(CELERY_BROKER_URL)
CELERY_TASK_PUBLISH_RETRY = broker.is_rabbitmq(CELERY_BROKER_URL)

MEDIA_ROOT = env.read("MEDIA_ROOT") or str(_VAR / "media")
STATIC_ROOT = env.read("STATIC_ROOT") or str(_VAR / "static")
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "cardshop.common.static_files.UncompressedFiles"}}
EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
EMAIL_FILE_PATH = str(_VAR / "mail")
SITE_SCHEME = "http"
SITE_PORT = ":" + (env.read("WEB_PORT") or env.read("PORT", "8000"))
ADMIN_TOTP_REQUIRED = False
PROVIDERS_ON_LOOPBACK = True
