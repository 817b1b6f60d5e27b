"""The look-up password of an order: optional, set on its page, hashed as Django hashes.

To hash one is meant to be slow, and so has no place in a purchase. One thread of a process does it at a time:
strangers may ask for it, and the shop has other things to do.
"""

import secrets
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from threading import Lock

from django.contrib.auth.hashers import check_password, make_password
from django.db import transaction

from orders.lookup.errors import LookupBusy
from orders.models import LookupPassword, Order
from orders.services.transitions import BUYER, note

PASSWORD_SET = "look-up password set"  # noqa: S105  a line of the history
_PATIENCE = 3.0  # seconds

_hashing = Lock()


def set_password(order: Order, password: str, *, now: datetime) -> None:
    """From now on `password` opens the order with its number, and no earlier one does. Raises LookupBusy."""
    with _one_at_a_time():
        encoded = make_password(_as_typed_anywhere(password))
    with transaction.atomic(durable=True):
        LookupPassword.objects.bulk_create(
            [LookupPassword(shop_id=order.shop_id, order=order, encoded=encoded, set_at=now)],
            update_conflicts=True,
            unique_fields=["order"],
            update_fields=["encoded", "set_at"],
        )
        note(order, reason=PASSWORD_SET, actor=BUYER, now=now)


def is_password(password: str, encoded: str) -> bool:
    """As much work whether or not it is. Raises LookupBusy."""
    with _one_at_a_time():
        return check_password(_as_typed_anywhere(password), encoded)


@cache
def decoy() -> str:
    """What no password is the password of, to be compared with where there is none."""
    return make_password(secrets.token_urlsafe(32))


def _as_typed_anywhere(password: str) -> str:
    """Chinese keyboards also write １２３ for 123, and every system composes accents in its own way."""
    return unicodedata.normalize("NFKC", password)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    if not _hashing.acquire(timeout=_PATIENCE):
        raise LookupBusy
    try:
        yield
    finally:
        _hashing.release()
