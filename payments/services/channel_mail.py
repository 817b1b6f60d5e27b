"""The mail that somebody has changed where the money goes: to those who can do something about it."""

from datetime import datetime

from django.conf import settings
from django.contrib.admin.models import ADDITION, DELETION, LogEntry
from django.contrib.auth.models import User
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from cardshop.outbox.services import Failures
from cardshop.shops.models import Shop
from orders.services.mail import post
from payments.services.channel_changes import in_words, what_is_told

SENDING = 15.0  # seconds; a mail begun then still ends within the lease


def mail_changes(entry_ids: list[int], now: datetime) -> Failures:
    """Tell every active superuser, and the shop's own address; returns the entries that failed.

    May be sent twice, never not.
    """
    entries = LogEntry.objects.filter(pk__in=entry_ids).select_related("user").order_by("pk")
    superusers = list(
        User.objects.filter(is_superuser=True, is_active=True).order_by("pk").values_list("email", flat=True)
    )
    return post({entry.pk: _message(entry, superusers) for entry in entries}, within=SENDING)


def _message(entry: LogEntry, superusers: list[str]) -> EmailMessage:
    """In all languages of the shop below each other: nobody has said which one they read."""
    told = what_is_told(entry) or {"changes": [], "from": "", "shop": None}
    shop = Shop.objects.get(pk=told["shop"])
    subjects, bodies = [], []
    for language, _name in settings.LANGUAGES:
        with translation.override(language):
            subjects.append(_headline(entry) % {"channel": entry.object_repr})
            bodies.append(
                render_to_string(
                    "mail/channel_changed.txt",
                    {
                        "headline": subjects[-1],
                        "shop": shop,
                        "who": entry.user.get_username(),
                        "when": f"{localtime(entry.action_time):%Y-%m-%d %H:%M:%S %z}",
                        "address": told["from"],
                        "lines": in_words(told),
                    },
                )
            )
    return EmailMessage(
        subject=" ".join(f"{shop.name}: {' / '.join(subjects)}".split()),
        body="\n\n".join(bodies),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=list(dict.fromkeys(filter(None, [*superusers, shop.contact_email]))),
    )


def _headline(entry: LogEntry) -> str:
    if entry.action_flag == ADDITION:
        return _("the way to pay “%(channel)s” was added")
    if entry.action_flag == DELETION:
        return _("the way to pay “%(channel)s” was deleted")
    return _("the way to pay “%(channel)s” was changed")
