"""Which endpoints want to hear of what: asked with every order that moves, so known for a second."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings

from resellers.models import Event, WebhookEndpoint
from resellers.models.event import OF_THE_CATALOGUE


@dataclass(frozen=True)
class Listener:
    """An endpoint that is on, paused or not. Without a reseller it hears of the whole shop."""

    endpoint_id: int
    reseller_id: int | None
    kinds: frozenset[str]

    def wants(self, event: Event) -> bool:
        is_theirs = self.reseller_id in (None, event.reseller_id) or event.kind in OF_THE_CATALOGUE
        return is_theirs and event.kind in self.kinds


Listeners = Mapping[int, Sequence[Listener]]
_known: tuple[float, Listeners] | None = None


def listeners() -> Listeners:
    """By shop, of those that have any. At most SHOP_FRESH_SECONDS old."""
    global _known
    now = time.monotonic()
    if _known is None or now >= _known[0]:
        _known = (now + settings.SHOP_FRESH_SECONDS, _look_up())
    return _known[1]


def who_wants(event: Event, among: Listeners) -> list[Listener]:
    return [listener for listener in among.get(event.shop_id, ()) if listener.wants(event)]


def _look_up() -> Listeners:
    found: dict[int, list[Listener]] = defaultdict(list)
    active = WebhookEndpoint.objects.filter(is_active=True).order_by("pk")
    for pk, shop_id, reseller_id, kinds in active.values_list("pk", "shop", "reseller", "kinds"):
        found[shop_id].append(Listener(pk, reseller_id, frozenset(kinds)))
    return dict(found)
