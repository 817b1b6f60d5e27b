"""The running shop's processes: which is which, how each is struck, and whether all are there again."""

import os
import signal
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped, unused-ignore]
import psycopg2
import redis

from benchmarks.soak.plan import Fault
from benchmarks.storm.processes import SUPERVISION, role_of
from cardshop.embedded import database_url, redis_url
from tests.stack import RunningShop

CELERY = ("worker", "isolated", "providers", "polling", "background", "mail", "beat")
# What ends sooner after its start is not started again: `cardshop.operations.procfile`.
SETTLED_AFTER = 6.0
BEHIND_BY = 1.0  # seconds


@dataclass
class Target:
    """Who is to be struck, found shortly before the moment."""

    fault: Fault
    pids: list[int] = field(default_factory=list)
    aof_was: int = 0  # bytes, BEHIND_BY before


class Stack:
    def __init__(self, shop: RunningShop) -> None:
        self.shop = shop
        self._aof = shop.var / "redis" / "appendonly.aof"
        self._pools = shop.pools
        self._http = httpx.Client(timeout=5, trust_env=False)
        self._complete = self.roles()

    # Looking

    def processes(self) -> dict[str, list[psutil.Process]]:
        found: dict[str, list[psutil.Process]] = {}
        for process in psutil.Process(self.shop.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                if role := self._role(process):
                    found.setdefault(role, []).append(process)
        return found

    def _role(self, process: psutil.Process) -> str:
        command = process.cmdline()
        if not command or Path(command[0]).name == "sh":  # the loop that starts it again
            return ""
        ports: set[int] = set()
        if "cardshop.wsgi" in " ".join(command):
            ports = {
                connection.laddr.port
                for connection in process.net_connections("tcp")
                if connection.status == psutil.CONN_LISTEN
            }
        role = role_of(" ".join(command), listens_on=ports, pools=self._pools)
        if role == SUPERVISION or (role == "postgres" and "-D" not in command):
            return ""  # PostgreSQL's children come and go
        return role

    def roles(self) -> Counter[str]:
        return Counter({role: len(found) for role, found in self.processes().items()})

    def wait_until_settled(self) -> None:
        """Until every process may be killed and will be started again."""
        while True:
            youngest = max(process.create_time() for found in self.processes().values() for process in found)
            if (left := youngest + SETTLED_AFTER - time.time()) <= 0:
                return
            time.sleep(left)

    def what_is_missing(self) -> list[str]:
        """Processes that are not back, addresses that are not ready; empty once all is repaired."""
        if not psutil.pid_exists(self.shop.pid):
            raise RuntimeError("the shop has stopped:\n" + self.shop.log.read_text()[-3000:])
        missing = [*(self._complete - self.roles())]
        for name, url in (("web", self.shop.url), ("hot", self.shop.hot_url)):
            try:
                said = self._http.get(f"{url}/readyz").json()
            except (httpx.TransportError, ValueError):
                said = {}
            if (said.get("status"), said.get("cache")) != ("ok", "ok"):
                missing.append(f"{name} is not ready: {said}")
        return missing

    def query(self, sql: str, **named: Any) -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(database_url(self.shop.var))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql, named)
                return cursor.fetchall() if cursor.description else []

    # Striking

    def aim(self, fault: Fault) -> Target:
        """To be called BEHIND_BY before the fault's moment."""
        target = Target(fault)
        if fault.kind == "redis_behind":
            target.aof_was = self._aof.stat().st_size
        found = self.processes()
        what, _, how = fault.kind.partition("_")
        if fault.kind in ("workers", "one_worker"):
            target.pids = [process.pid for role in CELERY for process in found.get(role, [])]
        elif how in ("worker", "master"):
            target.pids = _masters_or_workers(found.get(what, []), masters=how == "master")
        elif fault.kind != "redis_flush":
            target.pids = [process.pid for process in found.get(what, [])]
        if fault.kind in ("one_worker", "web_worker", "hot_worker"):
            target.pids = sorted(target.pids)
            target.pids = target.pids[int(fault.pick * len(target.pids)) :][:1]
        return target

    def strike(self, target: Target) -> None:
        match target.fault.kind:
            case "redis_flush":
                with closing(redis.Redis.from_url(redis_url(self.shop.var))) as server:
                    server.flushall()
            case "redis_empty":
                self._kill_redis_and_keep(target, 0)
            case "redis_behind":
                self._kill_redis_and_keep(target, target.aof_was)
            case "postgres_immediate":
                # As `pg_ctl restart -m immediate` does it, except that the supervisor starts it again.
                _send(target.pids, signal.SIGQUIT)
            case _:
                _send(target.pids, signal.SIGKILL)

    def _kill_redis_and_keep(self, target: Target, size: int) -> None:
        """Kill Redis, and let it find only so many bytes of its file when it comes back."""
        os.kill(self.shop.pid, signal.SIGSTOP)  # the supervisor must not be quicker than we are
        try:
            _send(target.pids, signal.SIGKILL)
            for pid in target.pids:
                while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                    time.sleep(0.002)
            if size:
                os.truncate(self._aof, min(size, self._aof.stat().st_size))
            else:
                self._aof.unlink()
        finally:
            os.kill(self.shop.pid, signal.SIGCONT)


def _masters_or_workers(found: list[psutil.Process], *, masters: bool) -> list[int]:
    pids = {process.pid for process in found}
    return [process.pid for process in found if (process.ppid() not in pids) == masters]


def _send(pids: list[int], kind: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, kind)
