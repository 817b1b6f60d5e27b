"""What somebody of the staff has done to a row: what stood in it before and what stands in it now.

Written down by the site of the administration, in the transaction of the change: see `cardshop.audit`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils.translation import gettext_lazy as _

LONGEST = 300  # characters of a value
LONGEST_NAME = 200
# The shop stands beside and never changes; the other moves with whatever does.
UNTOLD = {"shop", "updated_at"}
CONTEXT = 30  # characters of what a long text has in common before its first difference
# Of a field so named it is told that it changed, never what it was or is.
_SECRET = re.compile(r"secret|sealed|password|token|digest|credential|encoded|(^|_)key(s|_\w+)?$")

Values = dict[str, Any]
Standing = dict[Any, tuple[models.Model, Values]]  # rows by primary key, as they stood at a moment


class Action(models.TextChoices):
    ADDED = "added", _("added")
    CHANGED = "changed", _("changed")
    DELETED = "deleted", _("deleted")
    DONE = "done", _("done")


@dataclass(frozen=True, kw_only=True)
class Deed:
    """One thing done to one row. `said` is what it was, where no fields say it.

    `changes` are `{"field", "before", "after"}`, without the last two where only that it changed is told.
    """

    of: str  # the model's label, in lower case
    of_id: str
    named: str
    shop_id: int | None
    action: Action
    said: str = ""
    changes: list[dict[str, Any]] = field(default_factory=list)


def deed_on(
    row: models.Model,
    action: Action,
    *,
    shop_id: int | None,
    said: str = "",
    changes: Iterable[dict[str, Any]] = (),
) -> Deed:
    return Deed(
        of=row._meta.label_lower,
        of_id=str(row.pk),
        named=_line(row)[:LONGEST_NAME],
        shop_id=shop_id,
        action=action,
        said=_line(said)[:LONGEST],
        changes=list(changes),
    )


def is_secret(column: "models.Field[Any, Any]") -> bool:
    """Whether a value of it must not be written down: whatever is sealed, and whatever is called so."""
    if isinstance(column, models.BinaryField):
        return True
    says_little = isinstance(column, (models.BooleanField, models.ForeignKey, models.DateField))
    return not says_little and bool(_SECRET.search(column.name))


def values_of(row: models.Model, *, many: Iterable[str] = ()) -> Values:
    """What stands in the row as it was read; of the relations `many`, the names at their other end."""
    values: Values = {column.name: getattr(row, column.attname) for column in row._meta.concrete_fields}
    for name in many:
        values[name] = sorted(str(other) for other in getattr(row, name).all())
    return values


def standing(rows: Iterable[models.Model], *, many: Iterable[str] = ()) -> Standing:
    return {row.pk: (row, values_of(row, many=many)) for row in rows}


def secrets_of(model: type[models.Model]) -> set[str]:
    return {column.name for column in model._meta.concrete_fields if is_secret(column)}


def deeds_between(
    before: Standing,
    after: Standing,
    *,
    shop_of: Callable[[models.Model], int | None],
    said: str = "",
    by_name: Set[str] = frozenset(),
    besides: Set[str] = frozenset(),
) -> list[Deed]:
    """Of rows of one model, what makes them other than they were. Fields `by_name` are told like secrets,
    those `besides` not at all. With `said` also what left a row as it was.
    """
    deeds = []
    for pk in sorted({*before, *after}):
        row = (after.get(pk) or before[pk])[0]
        was, is_now = (rows[pk][1] if pk in rows else {} for rows in (before, after))
        changes = [
            change
            for change in _differences(type(row), was, is_now, by_name=by_name)
            if change["field"] not in besides
        ]
        if pk not in before:
            action = Action.ADDED
        elif pk not in after:
            action = Action.DELETED
        else:
            action = Action.CHANGED if changes else Action.DONE
        if changes or said or action != Action.DONE:
            deeds.append(deed_on(row, action, shop_id=shop_of(row), said=said, changes=changes))
    return deeds


def _differences(
    model: type[models.Model], before: Values, after: Values, *, by_name: Set[str]
) -> Iterator[dict[str, Any]]:
    for column in [*model._meta.concrete_fields, *model._meta.many_to_many]:
        name = column.name
        was, is_now = before.get(name), after.get(name)
        if _same(was, is_now) or column.primary_key or name in UNTOLD:
            continue
        if name in by_name or is_secret(column):
            yield {"field": name}
            continue
        was, is_now = _named(column, was), _named(column, is_now)
        yield {"field": name, **_cut(_plain(column, was, before), _plain(column, is_now, after))}


def _same(was: Any, is_now: Any) -> bool:
    nothing: tuple[Any, ...] = (None, "", [], {})
    return bool(was == is_now) or (was in nothing and is_now in nothing)


def _named(column: Any, value: Any) -> Any:
    """Of a row that is referred to, its name and number."""
    if value is None or not isinstance(column, models.ForeignKey):
        return value
    other = column.remote_field.model._base_manager.filter(**{column.target_field.name: value}).first()
    return f"{_line(other)} (#{value})" if other else f"#{value}"


def _plain(column: Any, value: Any, row: Mapping[str, Any]) -> Any:
    """As JSON has it. An amount goes with the currency of its row."""
    is_names = isinstance(value, list) and all(isinstance(name, str) for name in value)
    if value is None or is_names or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int) and column.name.endswith("_minor") and row.get("currency"):
        return {"minor": value, "currency": row["currency"]}
    if isinstance(value, int):
        return value
    if isinstance(value, (list, dict)):
        return DjangoJSONEncoder(ensure_ascii=False, sort_keys=True).encode(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value)


def _cut(was: Any, is_now: Any) -> dict[str, Any]:
    """Of long texts the part where they begin to differ."""
    if max(len(text) for text in (was, is_now, "") if isinstance(text, str)) > LONGEST:
        texts = [text if isinstance(text, str) else "" for text in (was, is_now)]
        alike = next(
            (at for at, (one, other) in enumerate(zip(*texts, strict=False)) if one != other),
            min(map(len, texts)),
        )
        begin = max(0, alike - CONTEXT)
        was, is_now = (_part(text, begin) if isinstance(text, str) else text for text in (was, is_now))
    return {"before": was, "after": is_now}


def _part(text: str, begin: int) -> str:
    end = begin + LONGEST
    return ("…" if begin else "") + text[begin:end] + ("…" if len(text) > end else "")


def _line(value: object) -> str:
    """PostgreSQL's text has no NUL, and a name has no further lines."""
    return " ".join(str(value).replace("\0", "").split())
