"""Restoring a backup into an empty database, and what has to be forgotten and asked for afterwards.

The books come back as they were at an earlier moment. What Redis knows is of a later one: tickets of orders
that do not exist any more, limits of a stock that was. It is forgotten before the rows are there, and the
gates' epochs go so far ahead that whatever of it turns up again is refused. Money that came in between is
asked for at the providers; until somebody has looked at it the shops stay closed.
"""

import json
import tarfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import redis
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.models import F

from cardshop.common.clock import db_now
from cardshop.operations.backup import DATABASE, MANIFEST, PICTURES, CannotBackUp, clients
from cardshop.operations.backup.writing import digest_of, secret_key_check
from cardshop.shops.models import Shop
from orders.models import Sale
from payments.services.reconciling import plan_statements
from resellers.models import Feed

Tell = Callable[[str], None]

# Epochs of a gate's life that the lost time may have had: one for each time that Redis was lost.
EPOCHS_AHEAD = 1_000_000
# Events that the lost time may have had: whoever has read them reads on with what comes now.
POSITIONS_AHEAD = 1_000_000_000
# What the shop writes into Redis about rows. Whatever else is there (wake-ups, sessions of payers) ends by
# itself.
REMEMBERED = ("line:*", "shown:*", "breaker:*", "bucket:*", "route:*")


def restore(
    source: Path, *, nothing_since: bool = False, another_secret_key: bool = False, tell: Tell
) -> None:
    """Restore the backup in `source` into the settings' database, which is empty, while the shop is stopped.

    With `nothing_since` (nothing happened after the backup was made) shops are left open. Raises
    CannotBackUp, before anything is changed wherever that can be known; once rows are there, an interrupted
    restore has to begin again with an empty database.
    """
    manifest = _read(source)
    _require_that_it_fits(manifest, another_secret_key=another_secret_key)
    _require_an_empty_database()
    forget_redis()
    tell("restoring the database")
    pg_restore, _version = clients.find(
        "pg_restore", at_least=max(clients.server_version(), manifest["pg_dump"])
    )
    options = ("--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges")
    clients.run(pg_restore, [*options, source / DATABASE])
    connection.close()  # what it knew of the database is no more
    call_command("migrate", verbosity=0, interactive=False)
    go_on_from(datetime.fromisoformat(manifest["made_at"]), now=db_now(), close_shops=not nothing_since)
    tell("restoring the pictures")
    Path(settings.MEDIA_ROOT).mkdir(parents=True, exist_ok=True)
    with tarfile.open(source / PICTURES) as tar:
        tar.extractall(settings.MEDIA_ROOT, filter="data")


def _read(source: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((source / MANIFEST).read_text())
        for name, said in manifest["files"].items():
            if digest_of(source / name) != said["sha256"]:
                raise CannotBackUp(
                    f"{source / name} is damaged: it is not what was written. Take another backup."
                )
    except (OSError, ValueError, KeyError) as error:
        raise CannotBackUp(f"{source} is no complete backup ({type(error).__name__})") from None
    return manifest


def _require_that_it_fits(manifest: dict[str, Any], *, another_secret_key: bool) -> None:
    known = {".".join(key) for key in MigrationLoader(None, ignore_no_migrations=True).disk_migrations}
    needed = (name for name in manifest["migrations"] if not _is_of_a_library(name))
    if unknown := [name for name in needed if name not in known]:
        raise CannotBackUp(
            f"The backup is of a newer version of the shop: this one does not know {unknown[0]}. Install "
            f"that one."
        )
    if manifest["secret_key_check"] != secret_key_check() and not another_secret_key:
        raise CannotBackUp(
            "SECRET_KEY is not the one of the backup: codes of prepaid balances and limits per buyer "
            "would not "
            "be recognized. Set the old one, or accept that with --another-secret-key."
        )


def _is_of_a_library(migration: str) -> bool:
    """Which may drop it from one version to the next."""
    app = apps.app_configs.get(migration.partition(".")[0])
    return app is not None and "site-packages" in Path(app.path).parts


def _require_an_empty_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT (SELECT count(*) FROM pg_tables
                       WHERE schemaname NOT IN ('pg_catalog', 'information_schema')),
                      (SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND pid <> pg_backend_pid())"""
        )
        tables, others = cursor.fetchone()
    if tables:
        raise CannotBackUp(
            f"The database has {tables} tables, and a backup is restored into an empty one only: create one, "
            "and name it in DATABASE_URL. Nothing was changed."
        )
    if others:
        raise CannotBackUp(f"{others} others are connected to the database: stop the shop first.")


def forget_redis() -> None:
    """Drop what Redis remembers about rows. Raises CannotBackUp if it cannot be reached."""
    for url in {settings.ADMISSION_REDIS_URL, settings.CACHES["default"]["LOCATION"]}:
        client = redis.Redis.from_url(url, socket_timeout=10, socket_connect_timeout=2)
        try:
            for pattern in REMEMBERED:
                for key in client.scan_iter(pattern, count=1000):
                    client.unlink(key)
        except redis.RedisError as error:
            raise CannotBackUp(
                f"Redis does not answer ({type(error).__name__}). Start it, empty if you like: what it "
                f"remembers "
                "of the time after the backup has to be forgotten."
            ) from None


@transaction.atomic(durable=True)
def go_on_from(made_at: datetime, *, now: datetime, close_shops: bool) -> None:
    """Let the restored books go on: gates open anew, and providers' statements since then are read."""
    Sale.objects.update(epoch=F("epoch") + EPOCHS_AHEAD, leased_by="", leased_until=None)
    Feed.objects.update(position=F("position") + POSITIONS_AHEAD)
    if close_shops:
        Shop.objects.update(is_open=False)
    plan_statements(now, since=made_at)
