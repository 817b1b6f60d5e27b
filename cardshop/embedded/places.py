"""Where the built-in servers live. Pure look-ups: settings import this in every process."""

import os
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote, urlencode

REPOSITORY = Path(__file__).resolve().parent.parent.parent
SOCKET_PATH_LIMIT = 107  # bytes: Linux's sockaddr_un has 108, the last of them is NUL
POSTGRES_PORT = 5432  # only part of the socket's name; nothing listens on TCP


def var_dir() -> Path:
    """The directory of everything that is generated: CARDSHOP_VAR, or var/ in the repository."""
    return Path(os.environ.get("CARDSHOP_VAR") or REPOSITORY / "var").resolve()


def database_url(var: Path) -> str:
    """The built-in PostgreSQL's address, running or not."""
    place = urlencode({"host": postgres_socket(var).parent, "port": POSTGRES_PORT})
    return f"postgresql://cardshop@/cardshop?{place}"


def redis_url(var: Path) -> str:
    """The built-in Redis's address, running or not."""
    return f"unix://{quote(str(redis_socket(var)))}?db=0"


def postgres_socket(var: Path) -> Path:
    return _short_enough(var, "postgres", f".s.PGSQL.{POSTGRES_PORT}")


def redis_socket(var: Path) -> Path:
    return _short_enough(var, "redis", "redis.sock")


def _short_enough(var: Path, server: str, name: str) -> Path:
    """var/server/name, or a stand-in with a short name in /tmp.

    /tmp and not gettempdir(): a second terminal with another TMPDIR has to find the same place.
    """
    socket = var.resolve() / server / name
    if len(os.fsencode(socket)) <= SOCKET_PATH_LIMIT:
        return socket
    digest = sha256(os.fsencode(var.resolve())).hexdigest()[:16]
    return Path(f"/tmp/cardshop-{digest}-{server}") / name  # noqa: S108  0700, owner checked before use
