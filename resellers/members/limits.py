"""How often one may ask to be let in, and try codes. Counted before anything is read, by what was typed.

With nobody to count, nobody is let in: what keeps others from guessing, or from filling a mailbox, is this.
"""

from django.conf import settings
from django.http import HttpRequest

from cardshop.traffic.addresses import address_key_of
from cardshop.traffic.buckets import Bucket
from cardshop.traffic.metrics import rate_limited
from resellers.members.errors import LogInBusy, TooManyLogIns
from resellers.models import Reseller, ResellerMember

_HOUR = 3600


def count_log_in(request: HttpRequest, email: str) -> None:
    """Of a stranger. Raises TooManyLogIns, LogInBusy."""
    _count_address(request)
    _take("reseller-log-in", settings.LOG_INS_PER_CONTACT, email.lower())


def count_confirmation(member: ResellerMember) -> None:
    """Of who is in: strangers who ask in their name take nothing from it. Raises TooManyLogIns, LogInBusy."""
    _take("reseller-confirm", settings.LOG_INS_PER_CONTACT, str(member.pk))


def count_code(request: HttpRequest, browser: str) -> None:
    """Raises TooManyLogIns, LogInBusy."""
    _count_address(request)
    _take("reseller-code", settings.CODE_TRIES_PER_LOG_IN, browser)


def count_invitation(reseller: Reseller) -> None:
    """Raises TooManyLogIns, LogInBusy."""
    _take("reseller-invite", settings.INVITATIONS_PER_RESELLER, str(reseller.pk))


def _count_address(request: HttpRequest) -> None:
    address = request.META["REMOTE_ADDR"]
    _take("reseller-address", settings.LOG_INS_PER_ADDRESS, address_key_of(address) or address)


def _take(name: str, tokens: tuple[int, int], who: str) -> None:
    at_once, per_hour = tokens
    taken = Bucket(name, per_hour / _HOUR, at_once).take(who)
    if taken is None:
        raise LogInBusy
    if not taken.allowed:
        rate_limited.labels(name).inc()
        raise TooManyLogIns(taken.retry_after)
