"""gunicorn as the Procfile runs it, over the servers of the tests, and a crowd that asks it."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Barrier, Event, Thread

from django.db import connection

from tests.stack import REPOSITORY, free_ports

START_TIMEOUT = 30


@contextmanager
def served(settings: str = "cardshop.settings.test", *, pool: str = "web") -> Iterator[int]:
    """The port where one worker with few threads serves the test's own database."""
    (port,) = free_ports(1)
    database = connection.get_connection_params()
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--config", "deploy/gunicorn.conf.py", "cardshop.wsgi"],
        cwd=REPOSITORY,
        env={
            **os.environ,
            "DATABASE_URL": f"postgresql://{database['user']}@/{database['dbname']}?host={database['host']}",
            "DJANGO_SETTINGS_MODULE": settings,
            "WEB_POOL": pool,
            "WEB_BIND": f"127.0.0.1:{port}",
            "WEB_WORKERS": "1",
            "WEB_THREADS": "4",
        },
    )
    try:
        _wait_for(port, process)
        yield port
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"nothing answers on port {port}")


def wait_for(come_true: Callable[[], bool], *, within: float = 60.0) -> None:
    deadline = time.monotonic() + within
    while not come_true():
        assert time.monotonic() < deadline, "it has not come true"
        time.sleep(0.05)


@contextmanager
def crowd(port: int, paths: Mapping[str, int]) -> Iterator[dict[str, Counter[int]]]:
    """So many people for each path, who ask again as soon as they are answered; what they heard."""
    heard: dict[str, Counter[int]] = {path: Counter() for path in paths}
    everybody, over = Barrier(sum(paths.values()) + 1), Event()

    def ask(path: str) -> None:
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        everybody.wait()
        while not over.is_set():
            line.request("GET", path)
            answer = line.getresponse()
            answer.read()
            heard[path][answer.status] += 1
        line.close()

    people = [Thread(target=ask, args=[path]) for path, count in paths.items() for _ in range(count)]
    for person in people:
        person.start()
    everybody.wait()
    try:
        yield heard
    finally:
        over.set()
        for person in people:
            person.join()
