"""The form of a rule about what is not kept for ever: which rows are too old, and how they are forgotten."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import models

from cardshop.common.locks import lock_rows

BATCH = 500  # rows a transaction


@dataclass(frozen=True)
class Retention:
    """`setting` names the days that it is kept; 0: for ever.

    `find` has the rows that were over by a moment and still hold something, and `forget` lets go of what it
    is given of them, in the caller's transaction; it returns how many those were. What has been forgotten is
    found no more, so a run that was interrupted is gone on with by the next.
    """

    name: str
    setting: str
    find: Callable[[datetime], models.QuerySet[Any]]
    forget: Callable[[models.QuerySet[Any]], int]


def in_batches(rows: models.QuerySet[Any]) -> Iterator[models.QuerySet[Any]]:
    """The rows by BATCH, in the order of their ids, each batch found when it is asked for."""
    last: Any = None
    while True:
        rest = rows if last is None else rows.filter(pk__gt=last)
        ids = list(rest.order_by("pk").values_list("pk", flat=True)[:BATCH])
        if not ids:
            return
        last = ids[-1]
        yield rows.filter(pk__in=ids)


def still_so(rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
    """Those of the rows, locked, of which the same is true once the locks are held: of other tables, too."""
    (locked,) = lock_rows(rows)
    return rows.filter(pk__in=[row.pk for row in locked])


def delete(rows: models.QuerySet[Any]) -> int:
    """For rows that nobody changes any more."""
    deleted, _by_table = rows.delete()
    return deleted
