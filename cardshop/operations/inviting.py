"""Somebody is to look after a shop: finds or makes their account, and writes to them.

The way to a new account's first password goes to its mailbox and is shown to nobody: whoever invites somebody
must not be able to become them, who may be invited by another shop tomorrow.
"""

from datetime import datetime

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cardshop.common.errors import DomainError
from cardshop.common.links import absolute_url
from cardshop.common.locks import lock_rows
from cardshop.outbox.services import Failures, promise
from cardshop.shops.models import Membership, Role, Shop
from orders.services.mail import post

SENDING = 15.0  # seconds; a mail begun then still ends within the lease
LONGEST_EMAIL = 150  # it becomes the name of the account


class CannotBeMember(DomainError):
    code = "cannot_be_member"
    message = gettext_lazy(
        "Whoever has this address cannot be added here. Ask those who run the installation."
    )


class IsMember(DomainError):
    code = "is_member"
    message = gettext_lazy("They are a member already.")


class LastOwner(DomainError):
    code = "last_owner"
    message = gettext_lazy("A shop keeps an owner. Make somebody else one first.")


@transaction.atomic
def invite(*, shop: Shop, email: str, role: Role, now: datetime) -> Membership:
    """Make whoever has that address a member, with an account if they have none, and tell them by mail.

    Raises CannotBeMember, IsMember.
    """
    membership, is_new = Membership.objects.get_or_create(
        shop=shop, user=_account_of(email), defaults={"role": role, "since": now}
    )
    if not is_new:
        raise IsMember
    promise("operations.mail_invitation", [membership.pk], shop_id=shop.pk, now=now)
    return membership


def _account_of(email: str) -> User:
    """Superusers, and accounts that were closed, are nobody's to add. Raises CannotBeMember."""
    email = email.strip().lower()
    known = list(User.objects.filter(email__iexact=email)[:2])
    if not known:
        # By its unique name: of two shops that invite the same person at once, one makes the account.
        fresh = {"email": email, "is_staff": True, "password": make_password(None)}
        known = [User.objects.get_or_create(username=email, defaults=fresh)[0]]
    (user, *others) = known
    if others or not user.is_active or user.is_superuser or user.email.lower() != email:
        raise CannotBeMember
    User.objects.filter(pk=user.pk, is_staff=False).update(is_staff=True)
    return user


@transaction.atomic
def change_role(membership: Membership, role: Role) -> None:
    """Raises LastOwner."""
    _keep_an_owner(membership, unless=role == Role.OWNER)
    Membership.objects.filter(pk=membership.pk).update(role=role)


@transaction.atomic
def remove(membership: Membership) -> None:
    """The account stays: it may belong to other shops. Raises LastOwner."""
    _keep_an_owner(membership)
    membership.delete()


def _keep_an_owner(membership: Membership, *, unless: bool = False) -> None:
    """Under the lock of all owners: of two who send each other away, one stays."""
    (owners,) = lock_rows(Membership.objects.filter(shop=membership.shop_id, role=Role.OWNER))
    if not unless and [owner.pk for owner in owners] == [membership.pk]:
        raise LastOwner


def mail_invitations(membership_ids: list[int], now: datetime) -> Failures:
    """Returns those that failed. May be sent twice, never not."""
    members = Membership.objects.filter(pk__in=membership_ids).select_related("shop", "user").order_by("pk")
    return post({member.pk: _message(member) for member in members if member.user.email}, within=SENDING)


def _message(member: Membership) -> EmailMessage:
    """In all languages of the shop below each other: nobody has said which one they read."""
    user, subjects, bodies = member.user, [], []
    is_new = not user.has_usable_password()
    path = reverse("admin:index")
    if is_new:
        uid = urlsafe_base64_encode(force_bytes(user.pk))
        path = reverse("admin:welcome", args=[uid, default_token_generator.make_token(user)])
    for language, _name in settings.LANGUAGES:
        with translation.override(language):
            subjects.append(_("you look after “%(shop)s” now") % {"shop": member.shop.name})
            context = {
                "shop": member.shop,
                "role": member.get_role_display(),
                "username": user.get_username(),
                "is_new": is_new,
                "link": absolute_url(member.shop, path),
                "days": settings.PASSWORD_RESET_TIMEOUT // 86400,
            }
            bodies.append(render_to_string("mail/invitation.txt", context))
    return EmailMessage(
        subject=" ".join(f"{member.shop.name}: {' / '.join(subjects)}".split()),
        body="\n\n".join(bodies),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[user.email],
    )
