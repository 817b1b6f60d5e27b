"""By e-mail: the request only writes down that somebody asked; a worker sees whom there is to mail.

So what is known here is answered like what is not, and by as much work.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from secrets import token_urlsafe

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import QuerySet
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from cardshop.audit.recording import record
from cardshop.common.audit import Action, deed_on
from cardshop.common.ids import keyed_digest
from cardshop.common.links import absolute_url
from cardshop.common.locks import lock_rows
from cardshop.common.templatetags.shopfront import localized
from cardshop.outbox.services import Failures, promise
from cardshop.shops.models import Shop
from orders.services.mail import post
from resellers.members.codes import code_for, is_code_for, readable
from resellers.members.errors import CodeOver
from resellers.members.sessions import begin
from resellers.models import LogIn, ResellerMember

VALID_FOR = timedelta(minutes=15)
SENDING = 15.0  # seconds; a mail begun then still ends within the lease
MAIL = "resellers.mail_log_in"


@transaction.atomic(durable=True)
def ask_to_log_in(shop: Shop, email: str, *, language: str, leads_to: str = "", now: datetime) -> str:
    """A code will be mailed there, if it is a member's. Returns the secret of the browser that asked."""
    browser = token_urlsafe(32)
    asked = LogIn.objects.create(
        shop=shop,
        contact_email=email,
        language=language,
        browser_digest=_digest(browser),
        leads_to=leads_to,
        asked_at=now,
    )
    promise(MAIL, [asked.pk], shop_id=shop.pk, now=now)
    return browser


def mail_codes(log_in_ids: list[int], now: datetime) -> Failures:
    """Answer each log-in that is not over, and forget those of strangers; returns those whose mail failed."""
    waiting = LogIn.objects.filter(pk__in=log_in_ids, used_at=None).select_related("shop")
    found = {asked: members_called(asked.shop, asked.contact_email) for asked in waiting}
    LogIn.objects.filter(pk__in=[asked.pk for asked, members in found.items() if not members]).delete()
    return post(
        {
            asked.pk: _message(asked, members)
            for asked, members in found.items()
            if members and now < asked.asked_at + VALID_FOR
        },
        within=SENDING,
    )


def log_in(
    shop: Shop, *, browser: str, code: str, address: str | None, now: datetime
) -> tuple[ResellerMember, str, str]:
    """Who it is, the secret of their new session, and the page that they wanted. Noted with the `address`.

    Raises CodeOver, whatever is wrong. Of several who bring the same code at once one is let in.
    """
    fresh = LogIn.objects.filter(
        shop=shop, browser_digest=_digest(browser), used_at=None, asked_at__gt=now - VALID_FOR
    )
    asked = fresh.first()
    members = members_called(shop, asked.contact_email) if asked else []
    member = next((each for each in members if asked and is_code_for(code, asked, each)), None)
    if asked is None or member is None:
        raise CodeOver
    with transaction.atomic(durable=True):
        (still_there,) = lock_rows(ResellerMember.objects.filter(pk=member.pk))
        if not still_there or not _use(fresh.filter(pk=asked.pk), now):
            raise CodeOver
        deed = deed_on(member, Action.DONE, shop_id=shop.pk, said=_("Logged in."))
        record([deed], who=member.acts_as, address=address, now=now)
        return member, begin(member, now=now), asked.leads_to


def _use(unused: QuerySet[LogIn], now: datetime) -> bool:
    """True only for the first."""
    return unused.update(used_at=now) == 1


def members_called(shop: Shop, email: str) -> list[ResellerMember]:
    """Of resellers of this shop that are not suspended."""
    mine = ResellerMember.objects.filter(
        reseller__shop=shop, reseller__is_suspended=False, email=email.lower()
    )
    return list(mine.select_related("reseller").order_by("pk"))


def _message(asked: LogIn, members: list[ResellerMember]) -> EmailMessage:
    shop = asked.shop
    with translation.override(asked.language):
        shop_name = localized(shop, "name")
        context: Mapping[str, object] = {
            "shop_name": shop_name,
            "until": localtime(asked.asked_at + VALID_FOR),
            "ways": [(member, readable(code), _link(shop, code)) for member, code in _codes(asked, members)],
        }
        return EmailMessage(
            subject=_("Log in at %(shop)s") % {"shop": shop_name},
            body=render_to_string("mail/reseller_log_in.txt", context),
            from_email=settings.DEFAULT_FROM_EMAIL,
            to=[members[0].email],  # as it is known here, not as somebody typed it
        )


def _codes(asked: LogIn, members: list[ResellerMember]) -> list[tuple[ResellerMember, str]]:
    return [(member, code_for(asked, member)) for member in members]


def _link(shop: Shop, code: str) -> str:
    return absolute_url(shop, reverse("reseller_link", args=[code]))


def _digest(browser: str) -> str:
    return keyed_digest("reseller-browser", browser)
