"""gunicorn's threaded worker, which knows how long a request has waited for its thread.

A request is queued from when its connection can be read until a thread is free. No proxy has to say when it
came, so nobody has to be believed about it.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import local
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

_here = local()


def waited() -> float:
    """Seconds that what this thread serves has waited for it; 0 outside of a TimedWorker."""
    return getattr(_here, "waited", 0.0)


class TimedWorker(ThreadWorker):
    def get_thread_pool(self) -> ThreadPoolExecutor:
        return _TimedPool(max_workers=self.cfg.threads)


class _TimedPool(ThreadPoolExecutor):
    def submit(self, task: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return super().submit(_timed, time.monotonic(), task, *args, **kwargs)


def _timed(queued_at: float, task: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    _here.waited = time.monotonic() - queued_at
    return task(*args, **kwargs)
