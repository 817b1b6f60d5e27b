"""Who has changed what about a shop or a way to pay: written into its history, and mailed to those who should
know.

The history is Django's LogEntry, with `change_message` as JSON that the admin can show by itself, and more:
`changes` is a list of `[label, before, after]`, `from` the address of whoever did it, `shop` the shop's id,
`also_to` an address to mail besides the usual ones, if there is one.
Labels are as in the source, to be translated for whoever reads them. Of a secret, and of a key, there is
only that it changed.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import override

from cardshop.outbox.services import promise
from cardshop.shops.models import Shop
from payments.models import PaymentChannel

LONGEST = 200  # characters of a value
CHANGED = "changed"

Subject = PaymentChannel | Shop


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that is different now. What `is_hidden` is told by its name alone.

    `is_decisive`: it decides where money or keys go, or who is told.
    """

    label: str | Promise
    before: object = None
    after: object = None
    is_hidden: bool = False
    is_decisive: bool = False

    def as_told(self) -> list[object]:
        with override(None):
            label = str(self.label)
        if self.is_hidden:
            return [label, CHANGED]
        return [label, _plain(self.before), _plain(self.after)]


@transaction.atomic
def record_changes(
    subject: Subject,
    changes: Iterable[Change],
    *,
    action: int,
    user_id: int,
    address: str,
    also_to: str = "",
    now: datetime,
) -> LogEntry:
    """Into the history; and by mail to those who should know, where something decisive is changed.

    `action` is one of LogEntry's. Call it in the transaction of the change itself.
    """
    changes = list(changes)
    told = [change.as_told() for change in changes]
    summaries: dict[int, dict[str, Any]] = {
        ADDITION: {"added": {}},
        CHANGE: {"changed": {"fields": [label for label, *_values in told]}},
        DELETION: {"deleted": {"name": _kind(subject), "object": _line(subject)}},
    }
    entry = LogEntry.objects.create(
        user_id=user_id,
        content_type=ContentType.objects.get_for_model(subject),
        object_id=str(subject.pk),
        object_repr=_line(subject),
        action_flag=action,
        action_time=now,
        change_message=json.dumps(
            [
                {
                    **summaries[action],
                    "changes": told,
                    "from": address,
                    "shop": shop_of(subject).pk,
                    "also_to": also_to,
                }
            ]
        ),
    )
    if action != CHANGE or any(change.is_decisive for change in changes):
        promise("payments.mail_channel_changes", [entry.pk], shop_id=shop_of(subject).pk, now=now)
    return entry


def shop_of(subject: Subject) -> Shop:
    return subject if isinstance(subject, Shop) else subject.shop


def what_is_told(entry: LogEntry) -> dict[str, Any] | None:
    """The JSON of `record_changes`; None for an entry that others have written."""
    try:
        (told,) = json.loads(entry.change_message)
        return told if "changes" in told else None
    except (ValueError, TypeError):
        return None


def in_words(told: dict[str, Any]) -> list[str]:
    """A line for each change, in the language of the moment."""
    return [_in_words(*change) for change in told["changes"]]


def _in_words(label: str, before: object, *after: object) -> str:
    name = capfirst(_(label))
    if not after:
        return _("%(name)s: changed") % {"name": name}
    if before is None:
        return f"{name}: {_shown(after[0])}"
    return f"{name}: {_shown(before)} → {_shown(after[0])}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return "–" if value in (None, "") else str(value)


def _kind(subject: Subject) -> str:
    with override(None):
        return str(subject._meta.verbose_name)


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, bool) else _line(value)


def _line(value: object) -> str:
    """On one line: nobody can write further lines, or headers, of the mail by what they enter."""
    return " ".join(str(value).split())[:LONGEST]
