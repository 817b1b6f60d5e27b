"""Writes events in the transaction in which they happen, and promises them to endpoints that want them."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from django.db import transaction

from cardshop.outbox.services import wake
from orders.models import Order
from resellers.events.listeners import Listeners, listeners, who_wants
from resellers.models import Event, WebhookDelivery

SEND = "resellers.send_webhooks"
_NOTHING: Mapping[str, object] = {}


def emit(events: Sequence[Event], *, now: datetime) -> None:
    """In the caller's transaction: with it they have happened, or not at all."""
    if events:
        _write(events, listeners(), now)


def emit_order_events(
    kind: str,
    orders: Sequence[Order],
    reseller_of: Mapping[int, int],
    now: datetime,
    *,
    said: Mapping[str, object] = _NOTHING,
) -> None:
    """Of these orders, each with its status as it is now, and `said` besides.

    `reseller_of` has the reseller by order id, of orders that are one's. Those are written always, since
    their resellers may read them; others only where somebody listens. It costs no query where nobody does.
    """
    heard = listeners()
    events = []
    for order in orders:
        event = Event(
            shop_id=order.shop_id,
            reseller_id=reseller_of.get(order.pk),
            kind=kind,
            subject=order.number,
            data={**_about(order), **said},
            at=now,
        )
        if event.reseller_id or who_wants(event, heard):
            events.append(event)
    if events:
        _write(events, heard, now)


def _write(events: Sequence[Event], heard: Listeners, now: datetime) -> None:
    """A delivery is its own promise, with the moment at which it is due: it needs no outbox row besides."""
    Event.objects.bulk_create(events)
    deliveries = [
        WebhookDelivery(endpoint_id=listener.endpoint_id, event=event, promised_at=now, next_at=now)
        for event in events
        for listener in who_wants(event, heard)
    ]
    if deliveries:
        WebhookDelivery.objects.bulk_create(deliveries)
        # A lambda: on Django 5.2 `robust` itself crashes when a functools.partial fails (ticket 36487).
        transaction.on_commit(lambda: wake(SEND), robust=True)


def _about(order: Order) -> dict[str, object]:
    return {
        "order": order.number,
        "status": order.status,
        "total_minor": order.total_minor,
        "currency": order.currency,
        "contact_email": masked(order.contact_email),
    }


def masked(email: str) -> str:
    """Enough for who knows it: `b***@example.com`."""
    name, at, host = email.partition("@")
    return f"{name[:1]}***{at}{host}"
