"""Inserting what may be there already, and hearing which of it was new."""

from collections.abc import Sequence
from typing import TypeVar

from django.db import connection, models

Row = TypeVar("Row", bound=models.Model)


def insert_new(rows: Sequence[Row], *, unique: Sequence[str]) -> list[Row]:
    """Insert, in one statement, the rows that no constraint refuses; returns those, with their ids.

    `unique` names the fields that tell one row from another. bulk_create(ignore_conflicts=True) would
    not say which were new, and get_or_create takes four statements for each. Callers that insert
    several rows sort them, so that two of them never wait for each other in a circle.
    """
    if not rows:
        return []
    meta = type(rows[0])._meta
    fields = [field for field in meta.concrete_fields if not field.primary_key]
    told_by = [field for field in fields if field.name in unique]
    columns = ", ".join(f'"{field.column}"' for field in fields)
    values = [
        field.get_db_prep_save(field.pre_save(row, True), connection) for row in rows for field in fields
    ]
    a_row = f"({', '.join(['%s'] * len(fields))})"
    with connection.cursor() as cursor:
        cursor.execute(
            f'INSERT INTO "{meta.db_table}" ({columns}) VALUES {", ".join([a_row] * len(rows))}'  # noqa: S608
            f' ON CONFLICT DO NOTHING RETURNING "{meta.pk.column}", '
            + ", ".join(f'"{field.column}"' for field in told_by),
            values,
        )
        ids = {tuple(said): pk for pk, *said in cursor.fetchall()}
    new = []
    for row in rows:
        pk = ids.pop(tuple(getattr(row, field.attname) for field in told_by), None)
        if pk is not None:
            row.pk = pk
            row._state.adding = False
            row._state.db = connection.alias
            new.append(row)
    return new
