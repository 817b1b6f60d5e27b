"""Runs a command with the servers it needs, and leaves nothing behind, however it ends.

- One run per var: an flock, which the kernel drops with the process.
- Whatever we start has a session of its own and dies with us, even after SIGKILL (`spawn`).
- What got away all the same carries a mark in its environment and is ended by the next start.
- A server that dies under the command is started again.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType

from cardshop.embedded.folders import prepare_var
from cardshop.embedded.places import database_url, redis_url
from cardshop.embedded.postgresql import PostgreSQL
from cardshop.embedded.processes import MARK, CannotRun, Say, adopt_orphans, end_all, marked, reap, spawn
from cardshop.embedded.redis_server import RedisServer

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SAME_WISH = 1.0  # seconds: `make` passes a SIGTERM on that its whole group has had already


def tell(message: str) -> None:
    print(f"cardshop: {message}", file=sys.stderr, flush=True)


@contextmanager
def servers(var: Path, *, say: Say = tell) -> Iterator[dict[str, str]]:
    """The built-in servers while the block runs; yields what the environment lacks to reach them.

    A server whose address is given (DATABASE_URL, REDIS_URL, or either with _FILE) is not started.
    Raises CannotRun. For the main thread.
    """
    with _running(var.resolve(), say) as (_, additions):
        yield additions


def run(command: Sequence[str], *, var: Path, say: Say = tell) -> int:
    """Run `command` with the servers up; its exit code, 128 + n if signal n ended it."""
    var = var.resolve()
    adopt_orphans()
    wishes = _Wishes()
    try:
        with wishes.heard(), _running(var, say) as (running, additions):
            try:
                process = spawn(command, env={**os.environ, **additions}, if_we_die=signal.SIGTERM)
                wishes.reader = process
                return _attend(process, running, say)
            except OSError as error:
                raise CannotRun(f"{command[0]}: {error.strerror}") from None
            finally:
                wishes.deaf = True  # nothing shall interrupt the stopping
    finally:
        reap()


@contextmanager
def _running(var: Path, say: Say) -> Iterator[tuple[list[PostgreSQL | RedisServer], dict[str, str]]]:
    if sys.platform != "linux" and not (_given("DATABASE_URL") and _given("REDIS_URL")):
        raise CannotRun("The built-in servers need Linux. Set DATABASE_URL and REDIS_URL.")
    with ExitStack() as stack:
        prepare_var(var)
        stack.enter_context(_alone(var))
        if left := end_all(lambda: marked(var)):
            say(f"ended {left} process(es) of an earlier run that did not end well")
        additions = {"CARDSHOP_VAR": str(var), MARK: str(var)}
        started: list[PostgreSQL | RedisServer] = []
        began = time.monotonic()
        for kind, name, address in (
            (PostgreSQL, "DATABASE_URL", database_url(var)),
            (RedisServer, "REDIS_URL", redis_url(var)),
        ):
            if _given(name):
                continue
            server = kind(var, say)
            stack.callback(server.stop)  # before start, which may be interrupted
            server.start()
            started.append(server)
            additions[name] = address
        if started:
            names = " and ".join(server.name for server in started)
            say(f"{names} up after {time.monotonic() - began:.1f} s")
        stack.callback(_end_others, var, started)  # first of all: clients go before their servers
        yield started, additions


def _given(name: str) -> bool:
    return bool(os.environ.get(name) or os.environ.get(f"{name}_FILE"))


@contextmanager
def _alone(var: Path) -> Iterator[None]:
    """Hold var/run.lock, or raise CannotRun at once."""
    with (var / "run.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip()
            raise CannotRun(
                f"Already running in {var} (process {holder}). "
                "Stop it first, or set CARDSHOP_VAR to another directory."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _end_others(var: Path, started: list[PostgreSQL | RedisServer]) -> None:
    """End what the command has left running."""
    spare = {server.process.pid for server in started if server.process}
    end_all(lambda: marked(var, spare=spare))


def _attend(process: subprocess.Popen[bytes], running: list[PostgreSQL | RedisServer], say: Say) -> int:
    """Wait for the command, and start servers that die meanwhile again."""
    while True:
        with suppress(subprocess.TimeoutExpired):
            code = process.wait(timeout=1)
            return code if code >= 0 else 128 - code
        for server in running:
            if server.process and server.process.poll() is not None:
                say(f"{server.name} has ended unexpectedly; starting it again")
                server.start()


class _Wishes:
    """SIGINT, SIGTERM and SIGHUP: while starting they end the start, then they go to the command."""

    def __init__(self) -> None:
        self.reader: subprocess.Popen[bytes] | None = None
        self.deaf = False
        self._last: tuple[int, float] = (0, 0.0)
        self._count = 0

    @contextmanager
    def heard(self) -> Iterator[None]:
        before: Mapping[signal.Signals, object] = {signum: signal.getsignal(signum) for signum in SIGNALS}
        for signum in SIGNALS:
            # nohup's wish is respected. SIGINT is also ignored in a script's background jobs,
            # where it is still the way to stop us.
            if signum != signal.SIGHUP or before[signum] != signal.SIG_IGN:
                signal.signal(signum, self._hear)
        try:
            yield
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)  # type: ignore[arg-type]

    def _hear(self, signum: int, frame: FrameType | None) -> None:
        if self.deaf:
            return
        if self.reader is None:
            self.deaf = True
            raise SystemExit(128 + signum)
        now = time.monotonic()
        if self._last[0] == signum and now - self._last[1] < SAME_WISH:
            return
        self._last = (signum, now)
        self._count += 1
        # As a terminal would, to the whole group. Whoever asks three times has been patient enough.
        with suppress(ProcessLookupError):
            os.killpg(self.reader.pid, signal.SIGKILL if self._count >= 3 else signum)
