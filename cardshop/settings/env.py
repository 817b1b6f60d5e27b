"""Configuration from the environment: every NAME may also be given as NAME_FILE."""

import os
import secrets
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from psycopg2.extensions import parse_dsn


def read(name: str, default: str = "") -> str:
    """The value of NAME, or the stripped content of the file that NAME_FILE names.

    Raises ImproperlyConfigured if that cannot be read.
    """
    if path := os.environ.get(f"{name}_FILE"):
        try:
            return Path(path).read_text().strip()
        except OSError as error:
            raise ImproperlyConfigured(
                f"{name}_FILE names {path}, which cannot be read: {error.strerror}"
            ) from None
    return os.environ.get(name, default)


def required(name: str) -> str:
    """Like `read`, but raises ImproperlyConfigured, naming NAME, when nothing is set."""
    if value := read(name):
        return value
    raise ImproperlyConfigured(f"{name} is not set: set {name}, or {name}_FILE to a file that holds it")


def random_secret() -> str:
    """32 bytes in base64."""
    return b64encode(secrets.token_bytes(32)).decode()


def generated_secret(name: str, folder: Path, make: Callable[[], str] = random_secret) -> str:
    """NAME from the environment, else what `make` makes once, kept in `folder` for development.

    Safe when several processes start at once: the file appears whole, and the first one wins.
    """
    if value := read(name):
        return value
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / name.lower()
    if not path.exists():
        draft = folder / f"{name.lower()}.{secrets.token_hex(4)}"
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as file:
            file.write(make())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was first; its secret counts
        finally:
            draft.unlink()
    return path.read_text()


def database(url: str) -> dict[str, Any]:
    """Django's DATABASES entry for a libpq URL; libpq itself parses it, so every option works."""
    dsn = parse_dsn(url)
    return {
        "ENGINE": "cardshop.db",
        "NAME": dsn.pop("dbname", ""),
        "USER": dsn.pop("user", ""),
        "PASSWORD": dsn.pop("password", ""),
        "HOST": dsn.pop("host", ""),
        "PORT": dsn.pop("port", ""),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "connect_timeout": 3,
            # A server that vanishes must not hang a request: neither one that it has not taken, nor
            # one that it took and will never answer.
            "tcp_user_timeout": 5000,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "options": "-c lock_timeout=3s -c statement_timeout=30s"
            " -c idle_in_transaction_session_timeout=30s",
            **dsn,
        },
    }


def names(name: str, default: str = "") -> list[str]:
    """A comma-separated list."""
    return [part.strip() for part in read(name, default).split(",") if part.strip()]


def number(name: str, default: int) -> int:
    """A whole number from 0 on. Raises ImproperlyConfigured for anything else."""
    text = read(name) or str(default)
    if not (text.isascii() and text.isdigit()):
        raise ImproperlyConfigured(f"{name}={text} is no whole number")
    return int(text)


def switch(name: str) -> bool:
    """Whether it is set to yes, in one of the usual words; off by default."""
    return read(name).lower() in ("1", "true", "yes", "on")


def redis_cache(url: str) -> dict[str, Any]:
    """Django's CACHES entry. The cache is for display only, so it may fail without a 500."""
    return {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": url,
            "OPTIONS": {
                "SOCKET_CONNECT_TIMEOUT": 1,
                "SOCKET_TIMEOUT": 1,
                "IGNORE_EXCEPTIONS": True,
            },
        }
    }


def broker_from_redis(url: str) -> str:
    """Celery's spelling of a Redis address: UNIX sockets are `redis+socket://` there."""
    if url.startswith("unix://"):
        return url.replace("unix://", "redis+socket://", 1).replace("?db=", "?virtual_host=")
    return url
