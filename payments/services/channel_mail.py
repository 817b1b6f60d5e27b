"""The mail that somebody has changed what decides about money: to those who can do something about it."""

from datetime import datetime

import structlog
from django.conf import settings
from django.contrib.admin.models import ADDITION, DELETION, LogEntry
from django.contrib.auth.models import User
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from cardshop.outbox.services import Failures
from cardshop.shops.models import Membership, Role, Shop
from orders.services.mail import post
from payments.services.channel_changes import Subject, in_words, shop_of, what_is_told

logger = structlog.get_logger(__name__)

SENDING = 15.0  # seconds; a mail begun then still ends within the lease


def mail_changes(entry_ids: list[int], now: datetime) -> Failures:
    """Tell every active superuser, and the shop's own people; returns the entries that failed.

    May be sent twice, never not, unless there is nobody who has an address.
    """
    entries = LogEntry.objects.filter(pk__in=entry_ids).select_related("user", "content_type").order_by("pk")
    messages = {entry.pk: _message(entry) for entry in entries}
    for entry_id, message in messages.items():
        if not message.to:
            logger.error("nobody to tell of a change", entry=entry_id)
    return post({entry_id: message for entry_id, message in messages.items() if message.to}, within=SENDING)


def people_to_tell(subject: Subject, also_to: str = "") -> list[str]:
    """The addresses of all active superusers, of the shop, its owners, and one that somebody asked for."""
    shop = shop_of(subject)
    owners = Membership.objects.filter(shop=shop, role=Role.OWNER, user__is_active=True).order_by("pk")
    superusers = User.objects.filter(is_superuser=True, is_active=True).order_by("pk")
    addresses = [
        *superusers.values_list("email", flat=True),
        shop.contact_email,
        *owners.values_list("user__email", flat=True),
        also_to,
    ]
    return list(dict.fromkeys(filter(None, addresses)))


def _message(entry: LogEntry) -> EmailMessage:
    """In all languages of the shop below each other: nobody has said which one they read."""
    told = what_is_told(entry) or {"changes": [], "from": "", "shop": None}
    shop = Shop.objects.get(pk=told["shop"])
    is_shop = entry.content_type is not None and entry.content_type.model_class() is Shop
    subjects, bodies = [], []
    for language, _name in settings.LANGUAGES:
        with translation.override(language):
            headline = _headline_of_shop(entry) if is_shop else _headline(entry)
            subjects.append(headline % {"channel": entry.object_repr, "shop": entry.object_repr})
            bodies.append(
                render_to_string(
                    "mail/channel_changed.txt",
                    {
                        "headline": subjects[-1],
                        "shop": shop,
                        "is_shop": is_shop,
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
        to=people_to_tell(shop, told.get("also_to", "")),
    )


def _headline(entry: LogEntry) -> str:
    if entry.action_flag == ADDITION:
        return _("the way to pay “%(channel)s” was added")
    if entry.action_flag == DELETION:
        return _("the way to pay “%(channel)s” was deleted")
    return _("the way to pay “%(channel)s” was changed")


def _headline_of_shop(entry: LogEntry) -> str:
    if entry.action_flag == ADDITION:
        return _("the shop “%(shop)s” was added")
    return _("the shop “%(shop)s” was changed")
