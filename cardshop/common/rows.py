"""Rows of handwritten SQL as model instances, for the reads where building the query costs most."""

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from django.db import connection
from django.db.models import Model

M = TypeVar("M", bound=Model)


def columns(model: type[Model], alias: str, *, but: Collection[str] = ()) -> str:
    """Every column of the model `but` those, for a SELECT in which its table has that alias."""
    fields = model._meta.concrete_fields
    return ", ".join(f'"{alias}"."{field.column}"' for field in fields if field.column not in but)


def instance(model: type[M], values: Sequence[Any]) -> M:
    """What a SELECT of `columns` returned, as an instance that was read from the database."""
    read = list(values)
    for at, field in _read_by_django(model):
        read[at] = field.from_db_value(read[at], None, connection)
    return model.from_db(connection.alias, _names(model), read)


def width(model: type[Model]) -> int:
    """How many columns that are."""
    return len(_names(model))


@lru_cache(maxsize=64)
def _read_by_django(model: type[Model]) -> list[tuple[int, Any]]:
    """Fields, with their places, that the driver leaves as they stand in the database, such as JSON."""
    fields = enumerate(model._meta.concrete_fields)
    return [(at, field) for at, field in fields if hasattr(field, "from_db_value")]


@lru_cache(maxsize=64)
def _names(model: type[Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]
