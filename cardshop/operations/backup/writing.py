"""Making a backup: whole or not at all, one at a time, while the shop goes on."""

import fcntl
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from cardshop.common.crypto import keyring
from cardshop.common.ids import keyed_digest
from cardshop.operations.backup import (
    DATABASE,
    MANIFEST,
    PICTURES,
    CannotBackUp,
    backups_in,
    clients,
    name_of,
)

# Who is logged in, and who has guessed: neither is to come back, and both are about people.
LEFT_OUT = (
    "django_session",
    "axes_accessattempt",
    "axes_accesslog",
    "axes_accessfailurelog",
    "axes_accessattemptexpiration",
)


def back_up(root: Path, *, now: datetime, keep: int | None = None) -> Path:
    """Write a backup below `root` and return its folder; of all there, the newest `keep` remain.

    It appears under its name once it is complete and on the disk. Raises CannotBackUp.
    """
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(root):
            for left_behind in root.glob(".cardshop-*"):
                shutil.rmtree(left_behind)
            draft = root / f".{name_of(now)}"
            draft.mkdir(mode=0o700)
            _write(draft, now)
            finished = root / name_of(now)
            draft.rename(finished)
            _sync(root)
            for _moment, old in backups_in(root)[: -keep if keep else 0]:
                shutil.rmtree(old)
            return finished
    except OSError as error:
        raise CannotBackUp(f"{error.filename or root}: {error.strerror}") from None


def _write(folder: Path, now: datetime) -> None:
    version = clients.server_version()
    pg_dump, client = clients.find("pg_dump", at_least=version)
    clients.run(
        pg_dump,
        [
            *("--format=custom", "--no-owner", "--no-privileges", "--file", folder / DATABASE),
            *(f"--exclude-table-data=public.{table}" for table in LEFT_OUT),
        ],
    )
    # After the rows that name them: a picture is never changed, only added.
    with tarfile.open(folder / PICTURES, "w") as tar:
        if Path(settings.MEDIA_ROOT).is_dir():
            tar.add(settings.MEDIA_ROOT, arcname=".")
    files = {name: _described(folder / name) for name in (DATABASE, PICTURES)}
    manifest = folder / MANIFEST
    manifest.write_text(json.dumps(_manifest(now, version, client, files), indent=1))
    for path in (*folder.iterdir(), folder):
        path.chmod(0o700 if path.is_dir() else 0o600)
        _sync(path)


def _manifest(now: datetime, server: int, client: int, files: dict[str, Any]) -> dict[str, Any]:
    return {
        "made_at": now.isoformat(),
        "postgresql": server,
        "pg_dump": client,
        "migrations": sorted(map(".".join, MigrationRecorder(connection).applied_migrations())),
        # Names only. Whoever restores needs these keys, from where they are kept.
        "key_encryption_keys": sorted(keyring().keys),
        "secret_key_check": secret_key_check(),
        "files": files,
    }


def secret_key_check() -> str:
    """The same for the same SECRET_KEY, and says nothing about it."""
    return keyed_digest("backup")


def _described(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": digest_of(path)}


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    with (root / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotBackUp(f"another backup is being written to {root}") from None
        yield
