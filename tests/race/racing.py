"""Many callers at one moment, and what is left of the shop when one of its guards is taken away."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Barrier, Thread
from typing import Any

import pytest
from django.db import OperationalError, connection, models
from django.utils.module_loading import import_string

from cardshop.operations.verify import CHECKS

PATIENCE = 30.0  # seconds at a barrier; ten times the connection's lock_timeout


def race(n: int, act: Callable[[], Any]) -> list[Any]:
    """Let `n` threads call `act` at one moment, each over a connection of its own.

    Returns what each returned or raised. A deadlock or a lock waited for in vain (OperationalError) is
    nobody's expected outcome, so that is raised here.
    """
    return race_all(*[act] * n)


def race_all(*acts: Callable[[], Any]) -> list[Any]:
    """Like `race`, with an act of its own for each thread; the outcomes come in their order."""
    ignoring_number = [lambda _number, act=act: act() for act in acts]
    return [outcomes[0] for outcomes in rounds(1, *ignoring_number)]


def rounds(n: int, *acts: Callable[[int], Any], jitter: float = 0.0) -> list[list[Any]]:
    """Race `acts` against each other `n` times over the same threads and connections.

    Each act is given the round's number. Everybody waits for everybody before a round, and then up to
    `jitter` seconds of their own. Returns a list of outcomes for each act.
    """
    start = Barrier(len(acts))
    outcomes: list[list[Any]] = [[] for _ in acts]

    def run(at: int) -> None:
        # Seeded, so that a failure has a chance to be seen twice.
        dice = random.Random(at)
        try:
            connection.ensure_connection()
            for number in range(n):
                start.wait(PATIENCE)
                time.sleep(dice.uniform(0, jitter))
                outcomes[at].append(_outcome(acts[at], number))
        except BaseException:
            start.abort()
            raise
        finally:
            connection.close()

    threads = [Thread(target=run, args=[at]) for at in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(row) for row in outcomes] == [n] * len(acts), "a thread died; see its traceback"
    for outcome in (outcome for row in outcomes for outcome in row):
        if isinstance(outcome, OperationalError):
            raise outcome
    return outcomes


def _outcome(act: Callable[[int], Any], number: int) -> Any:
    try:
        return act(number)
    except Exception as error:  # noqa: BLE001  an outcome like any other
        return error


def linger(monkeypatch: pytest.MonkeyPatch, name: str, seconds: float = 0.05) -> None:
    """Let every call of the function `name` begin with a pause.

    Put between a look and the act that follows, it makes sure that everybody has looked by then.
    """
    begin_with(monkeypatch, name, lambda: time.sleep(seconds))


def begin_with(monkeypatch: pytest.MonkeyPatch, name: str, first: Callable[[], object]) -> None:
    """Let every call of the function `name` do something else first."""
    act = import_string(name)

    def then(*args: Any, **kwargs: Any) -> Any:
        first()
        return act(*args, **kwargs)

    monkeypatch.setattr(name, then)


def cut(text: str, part: str, instead: str = "") -> str:
    """`text` without `part`, which must be there: else a control would remove nothing."""
    assert part in text
    return text.replace(part, instead)


def read_unlocked(*querysets: models.QuerySet[Any]) -> list[list[Any]]:
    """What a control puts in the place of `lock_rows`: the same rows, held by nobody."""
    return [list(rows.order_by("pk")) for rows in querysets]


@contextmanager
def without_constraint(model: type[models.Model], name: str) -> Iterator[None]:
    """Drop a constraint or unique index, and afterwards the rows that it would have refused."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE conrelid = %s::regclass AND conname = %s",
            [table, name],
        )
        if found := cursor.fetchone():
            drop = f'ALTER TABLE {table} DROP CONSTRAINT "{name}"'
            restore = f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {found[0]}'
        else:
            cursor.execute("SELECT pg_get_indexdef(%s::regclass)", [name])
            drop, restore = f'DROP INDEX "{name}"', cursor.fetchone()[0]
        cursor.execute(drop)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {table} CASCADE")
            cursor.execute(restore)


def unique_constraint_of(model: type[models.Model], column: str) -> str:
    """The database's name of the constraint behind `unique=True`."""
    with connection.cursor() as cursor:
        constraints = connection.introspection.get_constraints(cursor, model._meta.db_table)
    (name,) = [
        name for name, found in constraints.items() if found["unique"] and found["columns"] == [column]
    ]
    return name


def broken_invariants() -> list[str]:
    """What `verify` would say of the things that hold at any instant."""
    findings = []
    with connection.cursor() as cursor:
        for check in CHECKS:
            if not check.needs_grace:
                cursor.execute(check.sql)
                findings += [f"{check.name}: {row[0]}" for row in cursor.fetchall()]
    return findings
