"""PostgreSQL: whether it answers, and what would stop it from answering one of these nights."""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import redis
from django.conf import settings
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.utils.translation import gettext as _

from cardshop.operations.doctor.findings import Finding, ok, problem, warning
from cardshop.operations.health import database_state

OLDEST_VERSION = 150000
SLOW = 0.1  # seconds for a question that costs nothing
NEARLY_ALL, TOO_NEAR_ALL = 0.8, 0.95  # of the connections
LONG = timedelta(minutes=5)
TOO_LONG = timedelta(hours=1)
MUCH_WAL = 5 * 2**30  # bytes that an inactive replication slot keeps
SKEW, TOO_MUCH_SKEW = 2.0, 30.0  # seconds


def look_at_database() -> Iterator[Finding]:
    """The one that the others need."""
    match database_state():
        case "unreachable":
            yield problem(
                _("PostgreSQL does not answer at the address in DATABASE_URL: nothing works without it."),
                _("Start it, and see that address, password, firewall and pg_hba.conf let the shop in."),
            )
        case "migrations pending":
            yield problem(
                _("The database lacks what this version of the shop needs: migrations are pending."),
                _("Run `manage.py migrate`."),
            )
        case _:
            yield ok(_("PostgreSQL answers, and the database is migrated."))


def look_at_server() -> Iterator[Finding]:
    with connection.cursor() as cursor:
        number, version = _ask(
            cursor, "SELECT current_setting('server_version_num')::int, current_setting('server_version')"
        )
        began = time.monotonic()
        _ask(cursor, "SELECT 1")
        seconds = time.monotonic() - began
    if number < OLDEST_VERSION:
        yield problem(
            _("PostgreSQL %(version)s is too old: the shop needs 15 or newer.") % {"version": version},
            _("Upgrade the server (pg_upgrade), with a backup at hand."),
        )
    if seconds > SLOW:
        yield warning(
            _("PostgreSQL takes %(ms)d ms to say a word; usual is one.") % {"ms": seconds * 1000},
            _("Put it nearer, or see what keeps it and the network busy."),
        )
    if number >= OLDEST_VERSION and seconds <= SLOW:
        yield ok(_("PostgreSQL %(version)s, %(ms).1f ms away.") % {"version": version, "ms": seconds * 1000})


def look_at_connections() -> Iterator[Finding]:
    with connection.cursor() as cursor:
        used, most = _ask(
            cursor,
            """SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
                      current_setting('max_connections')::int
                      - current_setting('superuser_reserved_connections')::int""",
        )
    said = _("%(used)d of %(most)d connections to PostgreSQL are in use.") % {"used": used, "most": most}
    remedy = _("Raise max_connections, or run fewer threads (WEB_WORKERS, WEB_THREADS, --concurrency).")
    if used > TOO_NEAR_ALL * most:
        yield problem(said, remedy)
    elif used > NEARLY_ALL * most:
        yield warning(said, remedy)
    else:
        yield ok(said)


def look_at_transactions() -> Iterator[Finding]:
    """Old ones hold locks, and keep PostgreSQL from cleaning up behind every change since."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT count(*), max(clock_timestamp() - xact_start),
                      (array_agg(pid ORDER BY xact_start))[1]
               FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
                 AND datname = current_database()
                 AND xact_start < clock_timestamp() - make_interval(secs => %s)""",
            [LONG.total_seconds()],
        )
        count, oldest, pid = cursor.fetchone()
        (prepared,) = _ask(cursor, "SELECT count(*) FROM pg_prepared_xacts")
    if count:
        say = problem if oldest > TOO_LONG else warning
        yield say(
            _("%(count)d transaction(s) are open for more than five minutes, the oldest for %(minutes)d.")
            % {"count": count, "minutes": oldest.total_seconds() // 60},
            _(
                "See who it is: SELECT * FROM pg_stat_activity WHERE pid = %(pid)d; end it with "
                "pg_terminate_backend(%(pid)d). A backup that is running is no fault."
            )
            % {"pid": pid},
        )
    if prepared:
        yield warning(
            _("%(count)d prepared transaction(s) are left: the shop makes none.") % {"count": prepared},
            _("See pg_prepared_xacts, and roll them back."),
        )
    if not count and not prepared:
        yield ok(_("No transaction is open for long."))


def look_at_replication() -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT slot_name, active, coalesce(wal_status, ''),
                      CASE WHEN pg_is_in_recovery() THEN 0
                           ELSE coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0) END
               FROM pg_replication_slots ORDER BY slot_name"""
        )
        slots = cursor.fetchall()
        (in_recovery,) = _ask(cursor, "SELECT pg_is_in_recovery()")
    if in_recovery:
        yield problem(
            _("DATABASE_URL names a standby, which takes no orders."),
            _("Name the primary, or promote this one if the primary is lost."),
        )
    fine = True
    for name, active, wal_status, kept in slots:
        if wal_status == "lost" or (not active and kept > MUCH_WAL):
            fine = False
            yield problem(
                _("Nobody reads the replication slot %(name)s, and PostgreSQL keeps %(mb)d MB for it.")
                % {"name": name, "mb": kept // 2**20},
                _(
                    "Start its standby, or drop it: SELECT pg_drop_replication_slot('%(name)s'). "
                    "Otherwise the disk fills up."
                )
                % {"name": name},
            )
        elif not active:
            fine = False
            yield warning(
                _("Nobody reads the replication slot %(name)s.") % {"name": name},
                _("Start its standby, or drop the slot if there is none any more."),
            )
    if fine and not in_recovery:
        yield ok(_("Replication slots: %(count)d, each with its reader.") % {"count": len(slots)})


def look_at_clocks() -> Iterator[Finding]:
    """PostgreSQL's clock decides deadlines, Redis' the opening of a sale, this machine's one-time codes."""
    with connection.cursor() as cursor:
        before = time.time()
        (theirs,) = _ask(cursor, "SELECT extract(epoch FROM clock_timestamp())::float8")
        database_ahead = theirs - (before + time.time()) / 2
    clocks = {"PostgreSQL": database_ahead}
    try:
        client = redis.Redis.from_url(
            settings.ADMISSION_REDIS_URL, socket_timeout=2, socket_connect_timeout=1
        )
        before = time.time()
        seconds, micros = client.time()
        clocks["Redis"] = seconds + micros / 1e6 - (before + time.time()) / 2
    except redis.RedisError:
        pass  # said elsewhere
    fine = True
    for name, ahead in clocks.items():
        if abs(ahead) > SKEW:
            fine = False
            say = problem if abs(ahead) > TOO_MUCH_SKEW else warning
            yield say(
                _("The clock of %(name)s and that of this machine are %(seconds)d seconds apart.")
                % {"name": name, "seconds": round(abs(ahead))},
                _(
                    "Let both be set by NTP (chrony, systemd-timesyncd). Sales would open, and one-time "
                    "codes "
                    "would fail, at the wrong moment."
                ),
            )
    if fine:
        yield ok(_("The clocks agree: %(names)s and this machine.") % {"names": ", ".join(clocks)})


def _ask(cursor: CursorWrapper, question: str) -> tuple[Any, ...]:
    cursor.execute(question)
    row: tuple[Any, ...] = cursor.fetchone()
    return row
