"""Which shop a request is for, and which shops somebody looks after."""

import time
from typing import Any

from django.conf import settings

from cardshop.common.errors import NotHere
from cardshop.shops.models import Membership, Shop

_MOST = 1000  # hosts; ALLOWED_HOSTS may be a wildcard, and strangers choose the names below it

_known: dict[str, tuple[float, Shop]] = {}


def shop_for_host(host: str) -> Shop:
    """The shop of that host name; with only one shop installed, that one under any host.

    At most SHOP_FRESH_SECONDS old: every request asks. `host` may have a port. Raises NotHere.
    ALLOWED_HOSTS has already refused strangers.
    """
    now = time.monotonic()
    known = _known.get(host)
    if known and now < known[0]:
        return known[1]
    shop = _look_up(host)
    if len(_known) >= _MOST:
        _known.clear()
    _known[host] = (now + settings.SHOP_FRESH_SECONDS, shop)
    return shop


def _look_up(host: str) -> Shop:
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    shops = list(Shop.objects.order_by("pk")[:2])
    if len(shops) == 1:
        return shops[0]
    shop = Shop.objects.filter(host=name.lower()).first()
    if shop is None:
        raise NotHere
    return shop


def memberships_of(user: Any) -> list[Membership]:
    """In the order of the shops, with them. Of a superuser none, who sees all shops anyway."""
    if not user.is_active or user.is_superuser:
        return []
    return list(Membership.objects.filter(user=user.pk).select_related("shop").order_by("shop"))
