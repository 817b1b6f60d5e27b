"""A closed load of whole requests: `load.c`, cheaper than whatever it measures."""

import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FLAGS = ["-O2", "-std=gnu11", "-D_GNU_SOURCE"]


@dataclass(frozen=True)
class Load:
    """The compiled program, and how it is used: `seconds` count, after `warm_up` that do not."""

    program: Path
    connections: int
    warm_up: float
    seconds: float

    def on(self, port: int, requests: Path) -> dict[str, Any]:
        """What it says of a server on 127.0.0.1: answers by status, seconds, percentiles."""
        arguments = (port, self.connections, self.warm_up, self.seconds, requests, 0)
        done = subprocess.run(  # noqa: S603  our own program
            [self.program, *map(str, arguments)], check=True, capture_output=True, text=True
        )
        said: dict[str, Any] = json.loads(done.stdout)
        return said


def compile_load(program: Path) -> Path:
    """Ends the process, and says why, where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        sys.exit("This needs a C compiler: apt install gcc libc6-dev (Debian, Ubuntu).")
    program.parent.mkdir(parents=True, exist_ok=True)
    source = Path(__file__).with_name("load.c")
    subprocess.run([compiler, *FLAGS, "-o", program, source], check=True)  # noqa: S603  our own source
    return program


def write_requests(file: Path, requests: Iterable[bytes]) -> None:
    with file.open("wb") as out:
        for request in requests:
            out.write(struct.pack("<I", len(request)) + request)
