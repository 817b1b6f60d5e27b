"""Compiles the load generator, which has to be cheaper than anything it measures."""

import hashlib
import shutil
import subprocess
from pathlib import Path

SOURCES = Path(__file__).parent / "generator"
FLAGS = ["-O2", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra"]


class NoCompiler(Exception):
    """There is no C compiler on this machine, or it cannot compile."""


def compile_generator(into: Path) -> Path:
    """The program below `into`, compiled unless these very sources already were. Raises NoCompiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise NoCompiler("make storm needs a C compiler: apt install gcc libc6-dev (Debian, Ubuntu).")
    sources = sorted(SOURCES.glob("*.c"))
    digest = hashlib.sha256(" ".join(FLAGS).encode())
    for source in sorted(SOURCES.glob("*.[ch]")):
        digest.update(source.read_bytes())
    program = into / f"storm-generator-{digest.hexdigest()[:12]}"
    if not program.exists():
        into.mkdir(parents=True, exist_ok=True)
        draft = program.with_suffix(".new")
        command = [compiler, *FLAGS, "-o", str(draft), *map(str, sources)]
        done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603  all of it ours
        if done.returncode:
            raise NoCompiler(f"{compiler} could not compile the load generator:\n{done.stderr}")
        draft.rename(program)
    return program
