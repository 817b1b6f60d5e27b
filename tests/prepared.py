"""The var of a shop that was started before. The first start takes five times as long as the others."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack import REPOSITORY, RunningShop

# `manage.py up`, until it would become the shop's processes.
FIRST_START = """
import django
from django.core.management import call_command
django.setup()
from cardshop.operations.management.commands import up
up.run_procfile = lambda: None
call_command("up")
"""


def prepared_var(folders: pytest.TempPathFactory, name: str) -> Path:
    """A new one for a shop of one's own, copied from the one that whoever asks first in this run makes."""
    of_run = folders.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # each process has a folder in that of the run
        of_run = of_run.parent
    first = of_run / "prepared"
    with (of_run / "prepared.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not first.exists():
            _start_first(of_run / "unprepared")
            (of_run / "unprepared").rename(first)
    var = folders.mktemp(name)
    subprocess.run(["cp", "-a", f"{first}/.", var], check=True)  # with who owns what
    return var


def _start_first(var: Path) -> None:
    settings = {"DJANGO_SETTINGS_MODULE": "cardshop.settings.development"}
    subprocess.run(
        [
            *(sys.executable, "-m", "cardshop.embedded", "--quiet", "--var", var, "--"),
            *(sys.executable, "-c", FIRST_START),
        ],
        cwd=REPOSITORY,
        env=RunningShop(var).environment | settings,
        check=True,
        stdout=subprocess.DEVNULL,
    )
