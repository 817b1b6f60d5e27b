"""Kills a process at a commit of its choice: `os._exit` in a fork that has its own connection."""

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

KILLED = 137  # what a shell says of SIGKILL
BEFORE, AFTER = "before", "after"
WRITES = ("INSERT", "UPDATE", "DELETE", "WITH")


def die_at_every_commit(act: Callable[[], Any], *, when: str, prepare: Callable[[], Any]) -> Iterator[int]:
    """Run `act` in a fork that dies `when` ("before" or "after") its first commit, then its second, …

    Yields the number of the commit after each death, and ends once `act` comes through alive.
    `prepare` runs before each, here.
    """
    for number in count(1):
        prepare()
        if not dies(act, at=number, when=when):
            return
        yield number


def dies(act: Callable[[], Any], *, at: int, when: str) -> bool:
    """Whether the fork was killed; False if it came to the end of `act` with fewer commits than `at`."""
    connections.close_all()  # a connection must not be shared with a fork
    child = os.fork()
    if child == 0:
        _live_and_die(act, at, when)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, KILLED), f"the fork failed of itself, exit code {code}: see its traceback"
    return code == KILLED


def _live_and_die(act: Callable[[], Any], at: int, when: str) -> None:
    try:
        _count_commits(at, when)
        act()
    except BaseException:  # noqa: BLE001  nothing may escape into the parent's pytest
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def _count_commits(at: int, when: str) -> None:
    """A commit is the end of a transaction, or a statement that writes outside of one."""
    numbers = count(1)
    commit = BaseDatabaseWrapper._commit

    def around(do: Callable[[], Any]) -> Any:
        doomed = next(numbers) == at
        if doomed and when == BEFORE:
            os._exit(KILLED)
        done = do()
        if doomed:
            os._exit(KILLED)
        return done

    def counted_commit(self: BaseDatabaseWrapper) -> None:
        around(lambda: commit(self))

    def counted_statement(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        alone = not context["connection"].in_atomic_block
        if alone and str(sql).lstrip().upper().startswith(WRITES):
            return around(lambda: execute(sql, params, many, context))
        return execute(sql, params, many, context)

    BaseDatabaseWrapper._commit = counted_commit
    connections["default"].execute_wrappers.append(counted_statement)
