"""Starting processes that cannot outlive us, and finding those that did."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

MARK = "CARDSHOP_RUN"  # in the environment of everything started for a var: its path
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h

Say = Callable[[str], None]


class CannotRun(Exception):
    """The servers cannot be started here; the message tells the reader what to do."""


@dataclass(frozen=True)
class Account:
    """Who a server runs as when not as ourselves."""

    name: str
    uid: int
    gid: int


def spawn(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    if_we_die: signal.Signals,
    cwd: str | None = None,
    output: IO[bytes] | None = None,
    account: Account | None = None,
) -> subprocess.Popen[bytes]:
    """Start `command` in a session of its own; it gets `if_we_die` when this process ends, even by SIGKILL.

    Its own session, so that Ctrl-C in a terminal reaches us alone. Call it from the main thread:
    the kernel ties the signal to the thread that forks.
    """
    us = os.getpid()

    def tie() -> None:
        # CPython calls this after changing the user; a change of user would clear the setting.
        _prctl(PR_SET_PDEATHSIG, if_we_die)
        if os.getppid() != us:  # we died in between
            os._exit(1)

    return subprocess.Popen(  # noqa: S603  only commands of ours and the user's own
        [str(part) for part in command],
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL if output else None,
        stdout=output,
        stderr=output,
        start_new_session=True,
        preexec_fn=tie,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


def stop(process: subprocess.Popen[bytes], *steps: tuple[signal.Signals, float]) -> None:
    """Ask with one signal after the other, each with its patience in seconds; SIGKILL ends the list."""
    for signum, patience in steps:
        process.send_signal(signum)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            return
    process.kill()
    process.wait()


def end_all(find: Callable[[], Iterable[int]], *, patience: float = 10.0) -> int:
    """End the processes that `find` returns until it finds none; how many there were.

    It looks again before every signal, so a reused process id is never hit.
    """
    asked: set[int] = set()
    deadline = time.monotonic() + patience
    while found := set(find()):
        late = time.monotonic() - deadline
        if late > 5:
            raise CannotRun(f"process {min(found)} is left from an earlier run and does not end")
        for pid in found if late > 0 else found - asked:
            # PostgreSQL: SIGTERM would wait for its clients.
            kind = signal.SIGINT if is_postgres(pid) else signal.SIGTERM
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if late > 0 else kind)
        asked |= found
        time.sleep(0.05)
    return len(asked)


def marked(var: Path, *, spare: Container[int] = ()) -> list[int]:
    """Processes started for this var, except ourselves, those that started us, and `spare`."""
    mark = os.fsencode(f"{MARK}={var}")
    above = _ancestors()
    return [
        pid
        for pid in _pids()
        if pid not in above
        and pid not in spare
        and mark in _read(pid, "environ").split(b"\0")  # empty for a zombie
    ]


def serving(data: Path) -> list[int]:
    """PostgreSQL processes that work in this data directory.

    By argument (the postmaster) and by working directory (its children, which overwrite their
    arguments and environment): as root in a container we may read only the former of another user.
    """
    found = []
    for pid in filter(is_postgres, _pids()):
        cwd = None
        with suppress(OSError):
            cwd = os.readlink(f"/proc/{pid}/cwd")
        if cwd == str(data) or os.fsencode(data) in _read(pid, "cmdline").split(b"\0"):
            found.append(pid)
    return found


def is_postgres(pid: int) -> bool:
    return _read(pid, "comm") == b"postgres\n" and _state(pid) != "Z"


def adopt_orphans() -> None:
    """Become the parent of whatever our children leave behind, so that it can be ended and reaped."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def reap() -> None:
    """Collect the dead among adopted children; to be called last, since it takes any child's exit code."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _prctl(option: int, value: int) -> None:
    if _LIBC.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option})")


_LIBC = ctypes.CDLL(None, use_errno=True)


def _pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _read(pid: int, name: str) -> bytes:
    """/proc/PID/name, empty if the process is gone or not ours to read."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _stat(pid: int) -> list[str]:
    """/proc/PID/stat from the state on: the name before it may hold spaces and brackets."""
    return _read(pid, "stat").decode(errors="replace").rpartition(")")[2].split()


def _state(pid: int) -> str:
    return next(iter(_stat(pid)), "Z")


def _ancestors() -> set[int]:
    """Ourselves, our parent, its parent and so on."""
    line, pid = set(), os.getpid()
    while pid and pid not in line:
        line.add(pid)
        pid = int(_stat(pid)[1]) if _stat(pid) else 0
    return line
