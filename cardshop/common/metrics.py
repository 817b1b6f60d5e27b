"""What all processes count together, for Prometheus.

With PROMETHEUS_MULTIPROC_DIR set (`make run` sets it), a process counts in files of its own there, and who is
asked adds up all of them. The client would name the files by process ids, and they would pile up with every
restart. Here a process takes the lowest place that no living one holds: the kernel gives it free however its
holder ends, and the next counts on from there. So no counter ever goes back, and there are no more files than
processes at a time.

Only what happened is counted here, by counters and histograms. How things stand (a line, a breaker) is no
process's own, and a gauge would outlive whoever set it: that is read when it is asked for
(`cardshop.operations.standing`).

Count what is in rows once they are committed, robustly: what is committed must not fail because it cannot be
counted. Whoever is killed in between has lost that count and no more.
A label has few values, which we chose: routes, channels' short names, variants' codes; never a path, a token,
an address, or what a stranger said.
"""

import fcntl
import os
from functools import cache
from itertools import count
from pathlib import Path

from prometheus_client import REGISTRY, Counter, Histogram, values
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

__all__ = ["FOLDER", "SECONDS", "Counter", "Histogram", "counted"]

FOLDER = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")
# Upper bounds: from a look at a ticket to a provider at the end of our patience.
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


@cache
def _place(pid: int) -> str:
    """The name of this process's files. A child of ours is another process, and finds ours held."""
    for number in count():
        lock = os.open(Path(FOLDER, f"{number}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            return str(number)  # the lock stays open, and held, until the process ends
    raise AssertionError("numbers have no end")


if FOLDER:
    Path(FOLDER).mkdir(mode=0o700, parents=True, exist_ok=True)
    values.ValueClass = values.MultiProcessValue(lambda: _place(os.getpid()))  # type: ignore[no-untyped-call]


def counted() -> Collector:
    """What all processes that share the folder have counted; without a folder, what this one has."""
    return MultiProcessCollector(None, FOLDER) if FOLDER else REGISTRY  # type: ignore[no-untyped-call]
