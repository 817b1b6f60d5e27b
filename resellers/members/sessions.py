"""Sessions of members, with nothing in them but whose they are. Looked up anew with every request."""

from datetime import datetime, timedelta
from secrets import token_urlsafe

from cardshop.common.ids import keyed_digest
from cardshop.shops.models import Shop
from resellers.models import MemberSession, ResellerMember

IDLE = timedelta(hours=12)
LONGEST = timedelta(days=7)
FRESH = timedelta(minutes=15)  # for what costs money or shows keys
# Written down that seldom: a write for every look would cost more than the look.
SEEN_EVERY = timedelta(minutes=5)
# Processes count on from the database's clock each by themselves, some milliseconds apart.
_APART = timedelta(seconds=1)


def begin(member: ResellerMember, *, now: datetime) -> str:
    """Always a new one, with a secret that nobody had before; returns the secret."""
    token = token_urlsafe(32)
    MemberSession.objects.create(member=member, token_digest=_digest(token), confirmed_at=now, seen_at=now)
    return token


def session_of(shop: Shop, token: str, *, now: datetime) -> MemberSession | None:
    """With its member, their reseller and its balance. None for what has ended, by itself, because the member
    is none any more, or because the reseller is suspended; and in another shop.
    """
    lasting = MemberSession.objects.filter(
        token_digest=_digest(token),
        member__reseller__shop=shop,
        member__reseller__is_suspended=False,
        seen_at__gt=now - IDLE,
        confirmed_at__gt=now - LONGEST,
    )
    session = lasting.select_related("member__reseller__balance").first()
    if session is None:
        return None
    session.member.reseller.shop = shop
    if now - session.seen_at > SEEN_EVERY:
        MemberSession.objects.filter(pk=session.pk).update(seen_at=now)
    return session


def is_fresh(session: MemberSession, now: datetime) -> bool:
    return -_APART <= now - session.confirmed_at < FRESH


def end(token: str) -> None:
    MemberSession.objects.filter(token_digest=_digest(token)).delete()


def end_all(member: ResellerMember) -> None:
    """Also in browsers that are elsewhere."""
    MemberSession.objects.filter(member=member).delete()


def form_token(token: str) -> str:
    """Stands in every form of the session: what another site sends does not have it."""
    return keyed_digest("reseller-form", token)[:32]


def _digest(token: str) -> str:
    return keyed_digest("reseller-session", token)
