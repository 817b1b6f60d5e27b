"""Counting in several processes: nothing is lost by a kill -9, nothing piles up, and it costs little."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

# Counts as often as it is told, says so, and waits to be killed.
COUNTING = """
import sys
{before}
from prometheus_client import Counter
Counter("cardshop_tests", "", ["by"]).labels("it").inc(int(sys.argv[1]))
print("counted", flush=True)
sys.stdin.read()
"""
OURS = COUNTING.format(before="import cardshop.common.metrics")
BY_PROCESS_ID = COUNTING.format(before="")  # as the client does by itself


def counting(program: str, times: int, folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(times)],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "counted\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def counted(folder: Path) -> float | None:
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))
    return registry.get_sample_value("cardshop_tests_total", {"by": "it"})


def generations(program: str, folder: Path) -> int:
    """Three times two processes at once, killed one after the other; how many files they leave."""
    for _ in range(3):
        for process in [counting(program, times, folder) for times in (1, 10)]:
            kill(process)
    assert counted(folder) == 33
    return len(list(folder.glob("counter_*.db")))


def test_what_killed_processes_counted_stays_and_their_files_are_gone_on_with(tmp_path):
    assert generations(OURS, tmp_path) == 2


def test_control_by_process_ids_files_pile_up(tmp_path):
    assert generations(BY_PROCESS_ID, tmp_path) == 6


def test_processes_alive_at_once_never_share_a_file(tmp_path):
    processes = [counting(OURS, 1, tmp_path) for _ in range(3)]

    assert len(list(tmp_path.glob("counter_*.db"))) == 3

    for process in processes:
        kill(process)
    assert counted(tmp_path) == 3


@pytest.mark.parametrize("fork", ["os.fork()", "0"], ids=["fork", "no fork"])
def test_a_forked_child_counts_in_files_of_its_own(tmp_path, fork):
    program = f"""
import os
from cardshop.common.metrics import Counter
counter = Counter("cardshop_tests", "", ["by"]).labels("it")
counter.inc()
child = {fork}
counter.inc(10)
if child:
    os.waitpid(child, 0)
"""
    subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
        check=True,
    )

    assert counted(tmp_path) == (21 if "fork" in fork else 11)
