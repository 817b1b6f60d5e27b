"""Entries as people read them, in their own language."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.utils.dateparse import parse_datetime
from django.utils.formats import localize
from django.utils.text import capfirst
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from cardshop.audit.models import AuditEntry
from cardshop.common.money import display


def kind_of(entry: AuditEntry) -> str:
    model = _model(entry.of)
    return capfirst(str(model._meta.verbose_name)) if model else entry.of


def changes_of(entry: AuditEntry) -> Iterator[tuple[str, str, str]]:
    """Name of the field, what was, what is; of what is told by name alone, that it was changed."""
    model = _model(entry.of)
    for change in entry.changes:
        column = _column(model, change["field"])
        if "before" in change:
            before, after = (_shown(column, change[side]) for side in ("before", "after"))
            yield _label(column, change["field"]), before, after
        else:
            yield _label(column, change["field"]), "", _("changed; not shown here")


def _model(label: str) -> type[models.Model] | None:
    try:
        return apps.get_model(label)
    except LookupError:
        return None


def _column(model: type[models.Model] | None, name: str) -> Any:
    try:
        return model._meta.get_field(name) if model else None
    except FieldDoesNotExist:
        return None


def _label(column: Any, name: str) -> str:
    if isinstance(column, models.BinaryField):
        return _("Sealed credential")
    return capfirst(str(column.verbose_name)) if column else name


def _shown(column: Any, value: Any) -> str:
    if value in (None, "", []):
        return "–"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, dict):
        return display(value["minor"], value["currency"])
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(column, models.DateTimeField) and (moment := parse_datetime(value)):
        return str(localize(localtime(moment)))
    choices = dict(column.flatchoices) if column is not None and column.choices else {}
    return str(choices.get(value, value))
