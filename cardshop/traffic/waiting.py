"""gunicorn's threaded worker, which knows how long a request has waited for its thread.

A request is queued from when its connection can be read until a thread is free. No proxy has to say when it
came, so nobody has to be believed about it.

In a rush who has waited long may have gone. Nearly all may have: then a worker that serves them in the order
they came is busy for ever with answers that nobody reads, and the queue never gets shorter. So the pool for
rushes passes them over. In the other pools what they sent is worth having: an order, or a provider's notice.
"""

import select
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from socket import socket
from threading import local
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

from cardshop.traffic.metrics import POOL, gone

LOOKED_AFTER = 1.0  # seconds of waiting, when it is worth a system call to see who is still there
# Linux says when the other side has hung up although its request was not read yet.
_HUNG_UP = getattr(select, "POLLRDHUP", 0)

_here = local()


def waited() -> float:
    """Seconds that what this thread serves has waited for it; 0 outside of a TimedWorker."""
    return getattr(_here, "waited", 0.0)


class TimedWorker(ThreadWorker):
    def get_thread_pool(self) -> ThreadPoolExecutor:
        return _TimedPool(max_workers=self.cfg.threads)

    def handle(self, conn: TConn) -> Any:
        if POOL == "hot" and waited() >= LOOKED_AFTER and has_hung_up(conn.sock):
            gone.inc()
            return False  # gunicorn closes it
        return super().handle(conn)


def has_hung_up(sock: socket) -> bool:
    """Whether nothing more can come from the other side; always False where the system does not tell.

    Who closes only one half and goes on reading counts as gone, as it does for nginx.
    """
    poll = select.poll()
    poll.register(sock, _HUNG_UP)
    return bool(poll.poll(0))


class _TimedPool(ThreadPoolExecutor):
    def submit(self, task: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return super().submit(_timed, time.monotonic(), task, *args, **kwargs)


def _timed(queued_at: float, task: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    _here.waited = time.monotonic() - queued_at
    return task(*args, **kwargs)
