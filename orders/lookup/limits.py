"""How often one may look up. Counted before anything is read, by what was typed: known or not is the same.

With nobody to count, nobody looks up: what keeps others from guessing at an order, or from filling its
contact's mailbox, is this. Its link opens an order all the same.
"""

from django.conf import settings
from django.http import HttpRequest

from cardshop.traffic.addresses import address_key_of
from cardshop.traffic.buckets import Bucket
from cardshop.traffic.metrics import rate_limited
from cardshop.traffic.tries import is_beyond
from orders.lookup.errors import LookupBusy, TooManyLookups, TooManyMails, TooManyPasswords
from orders.models import Order

_HOUR = 3600


def count_number(request: HttpRequest, number: str) -> None:
    """Raises TooManyLookups, LookupBusy."""
    _count_address(request)
    _take("lookup-number", settings.LOOKUPS_PER_NUMBER, number, TooManyLookups)


def count_mail(request: HttpRequest, contact_email: str) -> None:
    """Raises TooManyLookups, TooManyMails, LookupBusy."""
    _count_address(request)
    _take("lookup-mail", settings.LOOKUP_MAILS_PER_CONTACT, contact_email.lower(), TooManyMails)


def count_password(request: HttpRequest, order: Order) -> None:
    """Raises TooManyLookups, TooManyPasswords."""
    _count_address(request)
    if is_beyond(request, "lookup-password", str(order.pk), settings.PASSWORDS_PER_ORDER):
        raise TooManyPasswords(_HOUR)


def _count_address(request: HttpRequest) -> None:
    address = request.META["REMOTE_ADDR"]
    who = address_key_of(address) or address  # the former is the same for a household
    if is_beyond(request, "lookup-address", who, settings.LOOKUPS_PER_ADDRESS):
        raise TooManyLookups(60)


def _take(name: str, tokens: tuple[int, int], who: str, refusal: type[TooManyLookups]) -> None:
    at_once, per_hour = tokens
    taken = Bucket(name, per_hour / _HOUR, at_once).take(who)
    if taken is None:
        raise LookupBusy
    if not taken.allowed:
        rate_limited.labels(name).inc()
        raise refusal(taken.retry_after)
