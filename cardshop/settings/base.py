"""What holds everywhere. The environment's names are listed in README.md."""

import sys
from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF

from cardshop.common.logs import logging_config
from cardshop.settings import broker, env

BASE_DIR = Path(__file__).resolve().parent.parent.parent

INSTALLED_APPS = [
    "cardshop.operations",
    "unfold.apps.BasicAppConfig",  # the default one would put its own site in the place of ours
    "unfold.contrib.filters",
    "cardshop.operations.admin_config.CardshopAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "axes",
    "csp",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "cardshop.shops",
    "cardshop.outbox",
    "inventory",
    "orders",
    "payments",
    "resellers",
    "suppliers",
    "cardshop.reports",
    "cardshop.alerts",
    "cardshop.audit",
]

MIDDLEWARE = [
    "cardshop.traffic.middleware.ClientAddressMiddleware",
    "cardshop.traffic.middleware.RequestLogMiddleware",
    "cardshop.traffic.errors.ErrorPageMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "cardshop.traffic.middleware.PagePolicyMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "cardshop.traffic.middleware.LanguageMiddleware",
    "cardshop.traffic.middleware.BodyLimitMiddleware",
    "cardshop.traffic.staff.StaffSessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "cardshop.traffic.staff.StaffAuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "cardshop.shops.middleware.MembershipMiddleware",
    "cardshop.traffic.staff.StaffMessageMiddleware",
    "cardshop.shops.middleware.ShopMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "cardshop.urls"
WSGI_APPLICATION = "cardshop.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "builtins": ["cardshop.common.templatetags.shopfront"],
        },
    }
]

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "cardshop.shops.backend.MemberBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]

# Languages: Chinese at /, English at /en/. Cookie-free pages choose by address.
LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", "简体中文"), ("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
# Where days begin, in lists and figures.
TIME_ZONE = env.read("TIME_ZONE") or "Asia/Shanghai"

STATIC_URL = env.read("STATIC_CDN").rstrip("/") + "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES: dict[str, Any] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "cardshop.common.static_files.HashedFiles"},
}
# A file missing from the manifest must not turn an error page into a crash.
WHITENOISE_MANIFEST_STRICT = False
MEDIA_URL = "/media/"
MEDIA_ROOT = env.read("MEDIA_ROOT") or str(BASE_DIR / "var" / "media")

# Where `manage.py backup` writes to, so that `doctor` can say how old the last one is.
BACKUP_ROOT = env.read("BACKUP_ROOT")

# Whoever shows it may read /metrics; without one, who calls directly from loopback or a private network.
METRICS_TOKEN = env.read("METRICS_TOKEN")

# Networks of the proxies in front; only they are believed about X-Forwarded-For.
TRUSTED_PROXIES = env.names("TRUSTED_PROXIES")

# The edge of the request. An upload of keys may be larger than a buyer's form.
BODY_LIMIT = 64 * 1024
ADMIN_BODY_LIMIT = 8 * 1024 * 1024
# One page takes files of keys, whole, and for programs one address of each variant. No others have so high a
# limit, also at the gateway.
IMPORT_PAGE = "/admin/inventory/keybatch/import/"
IMPORT_API = "/api/merchant/v1/variants/[-a-zA-Z0-9_]+/imports/"
IMPORT_FILE_LIMIT = int(env.read("IMPORT_FILE_MB") or 256) * 1024 * 1024
IMPORT_BODY_LIMIT = IMPORT_FILE_LIMIT + 1024 * 1024  # with the rest of the form
# Of the fields of a form, which are held in memory: a million keys may be pasted. Bodies as a whole are
# bounded in front of this, by the limits above.
DATA_UPLOAD_MAX_MEMORY_SIZE = 32 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000
# Nothing that is uploaded may ever lie on the disk in clear: keys are sealed as they stream in, and all
# other files stay in memory.
FILE_UPLOAD_HANDLERS = [
    "inventory.imports.uploads.SealedUploadHandler",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
]
FILE_UPLOAD_MAX_MEMORY_SIZE = ADMIN_BODY_LIMIT

SECURE_CONTENT_TYPE_NOSNIFF = True
# same-origin, not no-referrer: under the latter browsers send "Origin: null" with our own forms.
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "cardshop.traffic.errors.csrf_failure"
SESSION_COOKIE_NAME = "cardshop_admin"
SESSION_COOKIE_PATH = "/admin/"
CSRF_COOKIE_PATH = "/admin/"
SESSION_COOKIE_AGE = 12 * 3600
_ASSETS = [SELF, *env.names("STATIC_CDN")]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": _ASSETS,
        "style-src": _ASSETS,
        "img-src": [*_ASSETS, "data:"],
        "font-src": _ASSETS,
        "connect-src": [SELF],
        # Paying ends in a redirect to the provider, which browsers test against form-action.
        "form-action": [SELF, "https:", "http://127.0.0.1:*", "http://localhost:*"],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_ENABLE_ACCESS_FAILURE_LOG = False
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
AXES_LOCKOUT_CALLABLE = "cardshop.operations.admin_site.locked_out"

LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
# In the session, whose cookie ends at /admin/: a cookie of their own would reach buyers' pages.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
OTP_TOTP_ISSUER = "Cardshop"
UNFOLD = {
    "SITE_TITLE": "Cardshop",
    "SITE_HEADER": "Cardshop",
    "SITE_SUBHEADER": "cardshop.operations.acting_in.subheader",
    "SITE_SYMBOL": "key",
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": ["cardshop.operations.sidebar.stylesheet"],
    "SIDEBAR": {"navigation": "cardshop.operations.sidebar.navigation"},
}

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["cardshop.common.api.BoundedJSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "cardshop.common.api.error_response",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "ENUM_NAME_OVERRIDES": {
        "EntryKind": "payments.states.EntryKind.values",
        "EventKind": "resellers.models.EventKind.values",
        "LineStatus": "orders.states.ItemStatus.values",
        "OrderStatus": "orders.states.OrderStatus.values",
        "ReceiptStatus": "payments.states.ReceiptStatus.values",
        "RefundStatus": "payments.states.RefundStatus.values",
        "ResellerOrderStatus": "resellers.api.orders.STATUSES",
        "TopUpStatus": "resellers.api.top_ups.STATUSES",
    },
    "TITLE": "Cardshop",
    "DESCRIPTION": "Everything a buyer can do: browse, buy, pay, collect.",
    "VERSION": "1.0.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# Outbox and sweeps. Celery only wakes; nothing is lost with the broker.
CELERY_TASK_IGNORE_RESULT = True
# What waits for somebody else waits in a queue of its own: neither a mail server nor a provider that
# never answers may keep deliveries waiting, nor polling one dead provider the notices of the others.
CELERY_TASK_ROUTES = {
    "operations.mail_invitation": {"queue": "mail"},
    "orders.mail_delivery": {"queue": "mail"},
    "orders.deliver_isolated": {"queue": "isolated"},
    "orders.mail_turn": {"queue": "mail"},
    "orders.mail_replacement": {"queue": "mail"},
    "orders.mail_lookup": {"queue": "mail"},
    "payments.mail_refund": {"queue": "mail"},
    "payments.mail_channel_changes": {"queue": "mail"},
    # Minutes of work, of which nobody waits for the end.
    "inventory.import_keys": {"queue": "background"},
    "inventory.undo_imports": {"queue": "background"},
    "inventory.sweep_uploads": {"queue": "background"},
    "alerts.send": {"queue": "mail"},
    "resellers.send_webhooks": {"queue": "mail"},
    "resellers.mail_log_in": {"queue": "mail"},
    "resellers.mail_welcome": {"queue": "mail"},
    "reports.roll_up": {"queue": "background"},
    "payments.apply_notices": {"queue": "providers"},
    "payments.finish_closing": {"queue": "providers"},
    "payments.call_off_attempts": {"queue": "polling"},
    "payments.send_refunds": {"queue": "polling"},
    "payments.follow_refunds": {"queue": "polling"},
    "payments.reconcile": {"queue": "polling"},
    "payments.poll_attempts": {"queue": "polling"},
    "operations.prune": {"queue": "background"},
    "resellers.look_at_catalogue": {"queue": "background"},
    "suppliers.forward": {"queue": "polling"},
    "suppliers.look_at_stock": {"queue": "polling"},
    "suppliers.reconcile": {"queue": "polling"},
}
CELERY_TASK_QUEUES = broker.queues(CELERY_TASK_ROUTES)
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_WORKER_CONSUMER = "cardshop.consumer:Consumer"
# Nobody asks workers anything, and RabbitMQ has no good queue for the questions.
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
# Celery would close the database connection before and after every task, and to make a new one costs more
# than most tasks do. cardshop/celery.py looks after them instead.
CELERY_DB_REUSE_MAX = sys.maxsize
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_PUBLISH_RETRY_POLICY = broker.RETRY_ONCE
CELERY_BROKER_CONNECTION_TIMEOUT = 2
CELERY_BROKER_HEARTBEAT = 10  # seconds; whoever is silent for two is gone
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # for ever
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TIMEZONE = TIME_ZONE
# Kept in memory by beat: a file of it, left half written by a crash, would keep beat from starting again.
# So each interval begins with beat, and none may be longer than beat surely lives.
CELERY_BEAT_SCHEDULE = {
    # `expires`: a sweep that waited longer than its interval has a younger twin behind it.
    name: {"task": name, "schedule": seconds, "options": {"expires": seconds}}
    for name, seconds in {
        "outbox.sweep": 5,
        "payments.close_due_orders": 5,
        "payments.poll_attempts": 5,
        "payments.follow_refunds": 10,
        "payments.reconcile": 300,
        "orders.complete_delivered": 600,
        "inventory.sweep_uploads": 600,
        "orders.serve_all_waiting": 300,
        "inventory.void_expired_keys": 600,
        "orders.put_overdue_before_person": 30,
        "operations.prune": 3600,
        "reports.roll_up": 60,
        "alerts.look": 15,
        "resellers.send_webhooks": 5,
        "resellers.look_at_catalogue": 30,
        "suppliers.forward": 5,
        "suppliers.look_at_stock": 60,
        "suppliers.reconcile": 600,
    }.items()
}
# Into each queue, so that `manage.py doctor` sees who serves it.
SIGN_OF_LIFE_SECONDS = 15
CELERY_BEAT_SCHEDULE |= {
    f"outbox.show_life.{queue.name}": {
        "task": "outbox.show_life",
        "args": [queue.name],
        "schedule": SIGN_OF_LIFE_SECONDS,
        "options": {"queue": queue.name, "expires": SIGN_OF_LIFE_SECONDS},
    }
    for queue in CELERY_TASK_QUEUES
}

# Days that things are kept; 0: for ever. What the rules are stands in the modules called `retention`.
RETAIN_BUYERS_DAYS = env.number("RETAIN_BUYERS_DAYS", 365)
RETAIN_UNPAID_DAYS = env.number("RETAIN_UNPAID_DAYS", 90)
RETAIN_LINE_DAYS = env.number("RETAIN_LINE_DAYS", 30)
RETAIN_NOTICES_DAYS = env.number("RETAIN_NOTICES_DAYS", 180)
RETAIN_OUTBOX_DAYS = env.number("RETAIN_OUTBOX_DAYS", 30)
RETAIN_LOG_INS_DAYS = env.number("RETAIN_LOG_INS_DAYS", 30)
RETAIN_EVENTS_DAYS = env.number("RETAIN_EVENTS_DAYS", 30)
RETAIN_AUDIT_DAYS = env.number("RETAIN_AUDIT_DAYS", 730)

EMAIL_TIMEOUT = 5
DEFAULT_FROM_EMAIL = env.read("MAIL_FROM", "cardshop@localhost")

LOGGING_CONFIG = None
logging_config(json=env.read("LOG_FORMAT", "json") == "json")

# Seconds; argued in docs/adr/.
HOLD_SECONDS = 15 * 60
COMPLETE_AFTER_DAYS = 7
SHOP_FRESH_SECONDS = 1.0
DISPLAY_SECONDS = 1.0
DB_CLOCK_SECONDS = 1.0
# Unpaid holds of one variant. An address may be a whole neighbourhood behind one router.
UNPAID_HOLDS_PER_BUYER = 3
UNPAID_HOLDS_PER_ADDRESS = 20
# Codes of prepaid balances that may be tried. They cannot be guessed; this spares the database. Without Redis
# nobody counts, and everybody can still pay.
CODE_TRIES_PER_ORDER = "10/5m"
CODE_TRIES_PER_ADDRESS = "60/5m"
# Presses that may make us call a provider. Here too an address may be a whole neighbourhood.
PRESSES_PER_ORDER = "30/5m"
PRESSES_PER_ADDRESS = "1200/5m"
RATELIMIT_FAIL_OPEN = True
# Who looks for an order: tries with one number, and mails asked for to one address, each so many at once and
# so many more an hour. No more than three mails in any hour. And whatever is tried from one network address.
LOOKUPS_PER_NUMBER = (10, 10)
LOOKUP_MAILS_PER_CONTACT = (2, 1)
LOOKUPS_PER_ADDRESS = "60/10m"
# Passwords that may be set for one order. To hash one takes a good part of a second.
PASSWORDS_PER_ORDER = "5/h"
# Members of resellers, at once and more in an hour: mails with codes to one address, tries with the code of
# one mail, whatever comes from one network address, and mails to whom the owners of one reseller add.
LOG_INS_PER_CONTACT = (5, 10)
CODE_TRIES_PER_LOG_IN = (10, 1)
LOG_INS_PER_ADDRESS = (60, 360)
INVITATIONS_PER_RESELLER = (10, 10)
# What buyers of one network address may send together, by page or API. A purchase takes three or four posts,
# so fifty people behind one router may buy at the same moment, and two a second for ever. The clicks of a
# rush are answered in front of Django and not counted: the gate has its own limits.
ACTIONS_PER_SECOND = 8
ACTIONS_AT_ONCE = 200
# What one API key of a reseller may ask, a second and at once.
RESELLER_CALLS_PER_SECOND = 20
RESELLER_CALLS_AT_ONCE = 100
# Seconds that a request may wait for a thread while a queue stands, before it is refused; whoever pays or
# collects keys never is. Nobody notices the first; the second is half of what our pages wait for an answer
# (static/js/asking.js), so that whoever is let through still hears it.
SHED_BROWSING_AFTER = 0.1
SHED_BUYING_AFTER = 5.0
# Clicks per second on one variant from which on they have to bring a proof of work.
PRESSURE_FROM = 3000
# How stock is claimed; docs/locking.md compares the three. Checked where they are listed: inventory/stock/.
STOCK_STRATEGY = env.read("STOCK_STRATEGY") or "prededuct"
PROVIDER_CONNECT_TIMEOUT = 3.0
PROVIDER_READ_TIMEOUT = 8.0
# Of a call with all that belongs to it, however the provider spreads its answer over time.
PROVIDER_TOTAL_TIMEOUT = 10.0
# Whether alerts may go to this machine and to private networks, where merchants are not who runs them.
ALERTS_PRIVATE_ADDRESSES = env.switch("ALERTS_PRIVATE_ADDRESSES")
# The same for webhooks, which resellers have, too.
WEBHOOKS_PRIVATE_ADDRESSES = env.switch("WEBHOOKS_PRIVATE_ADDRESSES")
# And for the shops of suppliers.
SUPPLIERS_PRIVATE_ADDRESSES = env.switch("SUPPLIERS_PRIVATE_ADDRESSES")
