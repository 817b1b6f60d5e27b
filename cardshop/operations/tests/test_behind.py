"""What only serves a rush runs behind everything else, also where Linux weighs sessions and not processes."""

import subprocess

from cardshop.operations.procfile import PROCFILE


def test_process_and_session_step_back():
    shown = "nice; cat /proc/self/autogroup 2>/dev/null"
    said = subprocess.run(
        [PROCFILE.parent / "deploy" / "behind", "7", "sh", "-c", shown],
        capture_output=True,
        text=True,
        check=True,
        start_new_session=True,
    ).stdout

    own, *of_the_session = said.splitlines()  # nothing is said of it where there are no such groups
    assert own == "7"
    assert all(line.endswith("nice 7") for line in of_the_session)


def test_its_exit_code_is_that_of_the_command():
    command = [PROCFILE.parent / "deploy" / "behind", "7", "sh", "-c", "exit 3"]

    assert subprocess.run(command, check=False, start_new_session=True).returncode == 3
