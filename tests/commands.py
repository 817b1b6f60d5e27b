"""python -m tests.commands: `manage.py` for many commands, each in a fork of a process that has read Django.

To read it takes two seconds of processor time, and most commands nearly none. On standard input comes a line
for each command, on standard output its end: JSON, as `run` takes and returns it.
"""

import json
import os
import sys
import traceback
from tempfile import TemporaryFile

import django
from django.core.checks import run_checks
from django.core.management import execute_from_command_line


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cardshop.settings.development")
    django.setup()
    run_checks()  # which read all the rest, as before each command
    for line in sys.stdin:
        print(json.dumps(run(*json.loads(line))), flush=True)


def run(arguments: list[str], text: str) -> tuple[int, str, str]:
    """Its exit code, what it said and what it complained of; it reads `text`."""
    with TemporaryFile("w+") as told, TemporaryFile("w+") as said, TemporaryFile("w+") as complained:
        told.write(text)
        told.seek(0)
        if not (fork := os.fork()):
            for number, file in enumerate((told, said, complained)):
                os.dup2(file.fileno(), number)
            os._exit(_code_of(arguments))  # to take Django apart takes long, too
        code = os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1])
        said.seek(0)
        complained.seek(0)
        return code, said.read(), complained.read()


def _code_of(arguments: list[str]) -> int:
    code = 1
    try:
        execute_from_command_line(["manage.py", *arguments])
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except Exception:  # noqa: BLE001  whatever it is goes to whoever asked
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    main()
