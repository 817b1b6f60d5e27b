"""Runs the Procfile with honcho until Ctrl-C: python -m cardshop.operations.procfile.

A process that ends is started again, as a service manager would do it; but one that ends within seconds
of its start cannot work here, and then everything stops.
"""

import os
import shlex
import sys
from pathlib import Path

from honcho.environ import parse_procfile
from honcho.manager import Manager

PROCFILE = Path(__file__).resolve().parent.parent.parent / "Procfile"

KEEP_RUNNING = """
while began=$(date +%s); sh -c "$0"; code=$?; [ $(($(date +%s) - began)) -ge 5 ]; do
    echo "has ended ($code), starting it again"
done
exit $code
"""


class PatientManager(Manager):
    """honcho 2.0 crashes, and then waits for ever, when Ctrl-C comes before everything has started."""

    _asked_early = False

    def terminate(self) -> None:
        if super()._all_started():
            super().terminate()
        else:
            self._asked_early = True

    def _all_started(self) -> bool:
        """Asked by honcho's loop after every message."""
        started: bool = super()._all_started()
        if started and self._asked_early:
            super().terminate()  # once; honcho remembers
        return started


def main() -> int:
    manager = PatientManager()
    for name, command in parse_procfile(PROCFILE.read_text()).processes.items():
        kept = shlex.join(["sh", "-c", KEEP_RUNNING, command])
        manager.add_process(name, f"exec {kept}", env=dict(os.environ), cwd=str(PROCFILE.parent))
    manager.loop()
    return manager.returncode or 0


if __name__ == "__main__":
    sys.exit(main())
