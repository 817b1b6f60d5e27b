"""A shop on the internet. Whatever is not set stops the start and is named."""

from urllib.parse import unquote, urlsplit

from cardshop.settings import broker, env
from cardshop.settings.base import *  # noqa: F403

DEBUG = False
SECRET_KEY = env.required("SECRET_KEY")
CARD_KEY_KEK = env.required("CARD_KEY_KEK")
ALLOWED_HOSTS = [host.strip() for host in env.required("ALLOWED_HOSTS").split(",")]
DATABASES = {"default": env.database(env.required("DATABASE_URL"))}
CACHES = env.redis_cache(env.required("REDIS_URL"))
ADMISSION_REDIS_URL = env.read("ADMISSION_REDIS_URL") or env.required("REDIS_URL")
CELERY_BROKER_URL = env.required("BROKER_URL")
CELERY_BROKER_TRANSPORT_OPTIONS = broker.transport_options(CELERY_BROKER_URL)
CELERY_TASK_PUBLISH_RETRY = broker.is_rabbitmq(CELERY_BROKER_URL)

MEDIA_ROOT = env.required("MEDIA_ROOT")
STATIC_ROOT = env.required("STATIC_ROOT")

SITE_SCHEME = "https"
SITE_PORT = ""
ADMIN_TOTP_REQUIRED = True
PROVIDERS_ON_LOOPBACK = False
SECURE_SSL_REDIRECT = True
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 365 * 24 * 3600
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True

# smtp://user:password@host:587 (STARTTLS), or smtps://… on port 465.
_MAIL = urlsplit(env.required("MAIL_URL"))
EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_HOST = _MAIL.hostname or "localhost"
EMAIL_PORT = _MAIL.port or (465 if _MAIL.scheme == "smtps" else 587)
EMAIL_HOST_USER = unquote(_MAIL.username or "")
EMAIL_HOST_PASSWORD = unquote(_MAIL.password or "")
EMAIL_USE_SSL = _MAIL.scheme == "smtps"
EMAIL_USE_TLS = _MAIL.scheme == "smtp" and bool(EMAIL_HOST_USER)
