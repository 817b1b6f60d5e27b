"""Runs a measurement on built-in servers of its own below var/bench, made anew: no old rows, no old log."""

import os
import shutil
import sys
from collections.abc import Sequence

from cardshop.embedded.processes import CannotRun
from cardshop.embedded.supervisor import run, tell
from tests.stack import REPOSITORY

RESULTS = REPOSITORY / "var" / "bench"
SERVERS = RESULTS / "servers"
# Whatever points to other servers.
_FOREIGN = ("DATABASE_URL", "REDIS_URL", "ADMISSION_REDIS_URL", "BROKER_URL", "CARDSHOP_VAR")


def run_on_own_servers(module: str, arguments: Sequence[str]) -> int:
    """The exit code of `python -m module`, run with PostgreSQL and Redis up."""
    for name in _FOREIGN:
        os.environ.pop(name, None)
        os.environ.pop(f"{name}_FILE", None)
    shutil.rmtree(SERVERS, ignore_errors=True)
    try:
        return run([sys.executable, "-m", module, *arguments], var=SERVERS)
    except CannotRun as error:
        tell(str(error))
        return 1
