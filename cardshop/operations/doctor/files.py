"""What lies on disks: static files, pictures, counts, backups, and room for more of all of it."""

import shutil
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from hashlib import md5
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.db import connection
from django.utils.translation import gettext as _

from cardshop.common.clock import db_now
from cardshop.common.metrics import FOLDER
from cardshop.embedded import var_dir
from cardshop.operations.backup import moments_of_backups
from cardshop.operations.doctor.findings import Finding, ok, problem, warning

LITTLE, TOO_LITTLE = 0.1, 0.03  # of a disk
PLENTY = 50 * 2**30  # bytes; so many are enough, however large the disk
LARGE_COUNTS = 256 * 2**20  # bytes
OLD, TOO_OLD = timedelta(hours=26), timedelta(days=3)


def look_at_static_files() -> Iterator[Finding]:
    """Collected, and of this version: a page names its style by what the style says."""
    if (load_manifest := getattr(staticfiles_storage, "load_manifest", None)) is None:
        yield ok(_("Static files need no collecting with these settings."))
        return
    collected = load_manifest()[0]
    if not collected:
        yield problem(
            _("Static files are not collected: pages have no style."),
            _("Run `manage.py collectstatic --noinput`, and start the web processes again."),
        )
        return
    stale = [
        name
        for source in map(Path, settings.STATICFILES_DIRS)
        for path in source.rglob("*")
        if path.is_file()
        and (name := path.relative_to(source).as_posix())
        and not _is_as_collected(path, Path(settings.STATIC_ROOT) / name)
    ]
    if stale:
        yield problem(
            _("%(count)d static file(s) are of another version than the shop, such as %(name)s.")
            % {"count": len(stale), "name": stale[0]},
            _("Run `manage.py collectstatic --noinput`, and start the web processes again."),
        )
    else:
        yield ok(_("Static files are collected and of this version."))


def _is_as_collected(path: Path, collected: Path) -> bool:
    try:
        return _digest(path) == _digest(collected)
    except OSError:
        return False


def _digest(path: Path) -> bytes:
    return md5(path.read_bytes(), usedforsecurity=False).digest()


def look_at_pictures() -> Iterator[Finding]:
    root = Path(settings.MEDIA_ROOT)
    try:
        with tempfile.TemporaryFile(dir=root) as file:
            file.write(b"doctor")
    except OSError as error:
        yield problem(
            _("Pictures cannot be written to %(folder)s: %(why)s.")
            % {"folder": root, "why": error.strerror or type(error).__name__},
            _("Make the folder, and let it belong to the user of the shop (MEDIA_ROOT)."),
        )
    else:
        yield ok(_("Pictures can be written."))


def look_at_disks() -> Iterator[Finding]:
    folders = {"CARDSHOP_VAR": var_dir(), "MEDIA_ROOT": Path(settings.MEDIA_ROOT)}
    if FOLDER:
        folders["PROMETHEUS_MULTIPROC_DIR"] = Path(FOLDER)
    if settings.BACKUP_ROOT:
        folders["BACKUP_ROOT"] = Path(settings.BACKUP_ROOT)
    if data := _postgresql_folder():
        folders["PostgreSQL"] = data
    fine = True
    for name, folder in folders.items():
        if not folder.exists():
            continue
        usage = shutil.disk_usage(folder)
        share = usage.free / usage.total
        if share < LITTLE and usage.free < PLENTY:
            fine = False
            say = problem if share < TOO_LITTLE else warning
            yield say(
                _("The disk of %(name)s has %(mb)d MB left, %(share)d %% of it.")
                % {"name": name, "mb": usage.free // 2**20, "share": 100 * share},
                _("Make room. PostgreSQL stops when its disk is full, and Redis takes no writes."),
            )
    if fine:
        yield ok(
            _("There is room on the disks that can be seen from here: %(names)s.")
            % {"names": ", ".join(folders)}
        )


def _postgresql_folder() -> Path | None:
    """Where it runs on this machine, and says so: only to those who may ask."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT CASE WHEN pg_has_role(current_user, 'pg_read_all_settings', 'MEMBER')
                      THEN current_setting('data_directory') END"""
        )
        (said,) = cursor.fetchone()
    folder = Path(said) if said else None
    try:
        return folder if folder and folder.exists() else None
    except OSError:
        return None


def look_at_counts() -> Iterator[Finding]:
    """Whether it is set at all is a deployment check's."""
    if not FOLDER:
        yield ok(_("Each process counts for itself (PROMETHEUS_MULTIPROC_DIR is not set)."))
        return
    try:
        size = sum(path.stat().st_size for path in Path(FOLDER).iterdir())
        with tempfile.TemporaryFile(dir=FOLDER):
            pass
    except OSError as error:
        yield problem(
            _("Nothing can be counted in %(folder)s: %(why)s.")
            % {"folder": FOLDER, "why": error.strerror or type(error).__name__},
            _("Make the folder of PROMETHEUS_MULTIPROC_DIR, and let it belong to the user of the shop."),
        )
        return
    if size > LARGE_COUNTS:
        yield warning(
            _("The files in which processes count have grown to %(mb)d MB.") % {"mb": size // 2**20},
            _("Empty PROMETHEUS_MULTIPROC_DIR while the shop is stopped."),
        )
    else:
        yield ok(_("Processes count together."))


def look_at_backups() -> Iterator[Finding]:
    if not settings.BACKUP_ROOT:
        yield warning(
            _("No backups are known of."),
            _("Let `manage.py backup` run every night and say where to in BACKUP_ROOT: docs/backup.md."),
        )
        return
    made = moments_of_backups(Path(settings.BACKUP_ROOT))
    age = db_now() - made[-1] if made else None
    if age is None or age > TOO_OLD:
        yield problem(
            _("There is no backup in %(folder)s of the last three days.") % {"folder": settings.BACKUP_ROOT},
            _("See why `manage.py backup` does not run, or does not come to its end: docs/backup.md."),
        )
        return
    hours = age.total_seconds() // 3600
    said = _("The last backup is %(hours)d hours old; %(count)d are kept.") % {
        "hours": hours,
        "count": len(made),
    }
    if age > OLD:
        yield warning(said, _("See why `manage.py backup` did not run last night."))
    else:
        yield ok(said)
