"""gunicorn for the Procfile; a server of your own may override each value by the environment."""

import os
from typing import Any

from gunicorn.glogging import Logger

bind = os.environ.get("WEB_BIND") or f"127.0.0.1:{os.environ.get('WEB_PORT', '8000')}"
worker_class = "cardshop.traffic.waiting.TimedWorker"
workers = int(os.environ.get("WEB_WORKERS", "2"))
threads = int(os.environ.get("WEB_THREADS", "8"))
# A rush arrives within a second: let it wait in the kernel and in the workers, not be turned away. The
# kernel caps the backlog at net.core.somaxconn.
backlog = 16384
worker_connections = 8000
# Longer than a buyer looks at a page: a reused connection must not be closed under a click.
keepalive = 75
# Below the 5 s that honcho waits before it kills.
graceful_timeout = 3
control_socket_disable = True


class PathlessLogger(Logger):
    """Order pages have secret paths, so no path may reach a log: no access log, no URI with an error."""

    def exception(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        if args and str(msg).startswith("Error handling request"):
            msg, args = "Error handling a request", ()
        super().exception(msg, *args, **kwargs)


accesslog = None
logger_class = PathlessLogger
# Lower levels quote request lines that gunicorn cannot read.
loglevel = "error"


def post_worker_init(worker: Any) -> None:
    from cardshop.traffic.bulkheads import pool_has

    pool_has(worker.cfg.threads)
