"""Somebody is to look after a reseller's account, or is not any more."""

from datetime import datetime

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _

from cardshop.common.inserts import insert_new
from cardshop.common.links import absolute_url
from cardshop.common.locks import lock_rows
from cardshop.outbox.services import Failures, promise
from orders.services.mail import post
from resellers.members.errors import IsMember, TooManyMembers
from resellers.models import Reseller, ResellerMember

MOST = 20  # members of one reseller
SENDING = 15.0  # seconds; a mail begun then still ends within the lease
WELCOME = "resellers.mail_welcome"


@transaction.atomic
def add_member(reseller: Reseller, *, email: str, name: str = "", role: str, now: datetime) -> ResellerMember:
    """And tell them by mail where to log in. Raises IsMember, TooManyMembers."""
    lock_rows(Reseller.objects.filter(pk=reseller.pk))  # so that two who add do not both count too few
    if is_full(reseller):
        raise TooManyMembers
    member = ResellerMember(reseller=reseller, email=email.lower(), name=name, role=role, since=now)
    if not insert_new([member], unique=["reseller", "email"]):
        raise IsMember
    promise(WELCOME, [member.pk], shop_id=reseller.shop_id, now=now)
    return member


def is_full(reseller: Reseller) -> bool:
    return reseller.members.count() >= MOST


@transaction.atomic
def remove_member(member: ResellerMember) -> bool:
    """With their sessions, at once. True only for the caller who did it.

    Under the lock that logging in takes: nobody begins a session of a member who is being removed.
    """
    (locked,) = lock_rows(ResellerMember.objects.filter(pk=member.pk))
    for each in locked:
        each.delete()
    return bool(locked)


def mail_welcome(member_ids: list[int], now: datetime) -> Failures:
    """Returns those that failed. May be sent twice, never not."""
    members = ResellerMember.objects.filter(pk__in=member_ids).select_related("reseller__shop").order_by("pk")
    return post({member.pk: _welcome(member) for member in members}, within=SENDING)


def _welcome(member: ResellerMember) -> EmailMessage:
    """In all languages of the shop below each other: nobody has said which one they read. No code is in it:
    whoever logs in asks for one themselves.
    """
    reseller, shop, subjects, bodies = member.reseller, member.reseller.shop, [], []
    for language, _name in settings.LANGUAGES:
        with translation.override(language):
            subjects.append(_("you look after “%(reseller)s” now") % {"reseller": reseller})
            context = {
                "shop": shop,
                "reseller": reseller,
                "role": member.get_role_display(),
                "email": member.email,
                "link": absolute_url(shop, reverse("reseller_account_page")),
            }
            bodies.append(render_to_string("mail/reseller_welcome.txt", context))
    return EmailMessage(
        subject=" ".join(f"{shop.name}: {' / '.join(subjects)}".split()),
        body="\n\n".join(bodies),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[member.email],
        reply_to=[shop.contact_email] if shop.contact_email else None,
    )
