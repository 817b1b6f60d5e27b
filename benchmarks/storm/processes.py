"""CPU seconds of the running shop, by what its processes are for."""

import re
import threading
import time
from bisect import bisect_left
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from types import MappingProxyType

import psutil  # type: ignore[import-untyped, unused-ignore]

EVERY = 0.5  # seconds between two looks
SUPERVISION = "supervision"
# The provider's machine. Everything else counts, even what only holds the processes together.
NOT_THE_SHOP = ("sandbox",)
NO_POOLS: Mapping[int, str] = MappingProxyType({})

_CELERY = re.compile(r"--hostname (\w+)@")


def role_of(command: str, *, listens_on: Set[int] = frozenset(), pools: Mapping[int, str] = NO_POOLS) -> str:
    """What a process with this command line is for. `pools`: the web processes but `web`, by their port."""
    program = command.split(" ", 1)[0].rpartition("/")[2]
    if program in ("sh", "bash"):  # it quotes what it starts, which is looked at in its own right
        return SUPERVISION
    if program.startswith("postgres"):
        return "postgres"
    if "redis-server" in command:
        return "redis"
    if "-m sandbox" in command:
        return "sandbox"
    if "manage.py allocate" in command:
        return "allocator"
    if "celery" in command and (found := _CELERY.search(command)):
        return found[1]
    if "celery" in command and " beat" in command:
        return "beat"
    if "cardshop.wsgi" in command:
        return next((pools[port] for port in listens_on if port in pools), "web")
    return SUPERVISION


@dataclass
class CpuSamples:
    """Cumulative CPU seconds by role at moments of time.monotonic()."""

    moments: list[float] = field(default_factory=list)
    totals: list[dict[str, float]] = field(default_factory=list)

    def between(self, start: float, end: float) -> dict[str, float]:
        """CPU seconds by role from `start` to `end`, the looks interpolated."""
        before, after = self._at(start), self._at(end)
        return {role: round(after[role] - before.get(role, 0.0), 3) for role in sorted(after)}

    def _at(self, moment: float) -> dict[str, float]:
        if not self.moments:
            return {}
        right = bisect_left(self.moments, moment)
        if right == 0:
            return self.totals[0]
        if right == len(self.moments):
            return self.totals[-1]
        left = right - 1
        part = (moment - self.moments[left]) / (self.moments[right] - self.moments[left])
        first, second = self.totals[left], self.totals[right]
        return {
            role: first.get(role, 0.0) + part * (total - first.get(role, 0.0))
            for role, total in second.items()
        }


class CpuWatch:
    """Looks at the processes below `root` until the block ends; the samples stay.

    A process's own time and that of its children who have ended and were reaped: together with the
    living ones that is everything, also PostgreSQL's connections that came and went between looks.
    """

    def __init__(self, root: int, *, pools: Mapping[int, str] = NO_POOLS) -> None:
        self.samples = CpuSamples()
        self._root = psutil.Process(root)
        self._pools = pools
        self._roles: dict[int, str] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "CpuWatch":
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._over.wait(EVERY):
            self._look()

    def _look(self) -> None:
        totals: dict[str, float] = {}
        for process in (self._root, *self._root.children(recursive=True)):
            try:
                role = self._role(process)
                used = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            totals.setdefault(role, 0.0)
            totals[role] += used.user + used.system + used.children_user + used.children_system
        self.samples.moments.append(time.monotonic())
        self.samples.totals.append(totals)

    def _role(self, process: psutil.Process) -> str:
        role = self._roles.get(process.pid, SUPERVISION)
        if role == SUPERVISION:  # perhaps it has only now become what it is
            role = self._roles.get(process.ppid(), SUPERVISION)
            if role == SUPERVISION:
                role = self._look_closely(process)
            self._roles[process.pid] = role
        return role

    def _look_closely(self, process: psutil.Process) -> str:
        command = " ".join(process.cmdline())
        ports = _listens_on(process) if "cardshop.wsgi" in command else set()
        return role_of(command, listens_on=ports, pools=self._pools)


def _listens_on(process: psutil.Process) -> set[int]:
    return {
        connection.laddr.port
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
