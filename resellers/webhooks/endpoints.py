"""Endpoints: made, taken away, paused, resumed. A secret is told once, to whoever has it made."""

from collections.abc import Collection
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from cardshop.common.crypto import keyring
from cardshop.common.errors import DomainError, Invalid, NotHere
from cardshop.common.outgoing import require_callable
from cardshop.outbox.services import wake
from cardshop.shops.models import Shop
from resellers.events.emitting import SEND
from resellers.keys import new_name, new_secret
from resellers.models import EventKind, Reseller, WebhookDelivery, WebhookEndpoint
from resellers.models.webhook import ADDRESS_LENGTH

MOST = 10  # of one reseller, or of the merchant
BY_HAND = "paused by hand"


class TooManyWebhooks(DomainError):
    code = "too_many_webhooks"
    message = _("There are as many webhooks as there may be. Remove one first.")


def make_endpoint(
    shop: Shop, *, url: str, kinds: Collection[str], reseller: Reseller | None = None, now: datetime
) -> tuple[WebhookEndpoint, str]:
    """A new endpoint and its secret. Raises Invalid, NotAllowed, TooManyWebhooks."""
    if not kinds or not set(kinds) <= set(EventKind.values):
        raise Invalid(field="kinds")
    if len(url) > ADDRESS_LENGTH:
        raise Invalid(field="url")
    require_callable(url, private=settings.WEBHOOKS_PRIVATE_ADDRESSES)
    if WebhookEndpoint.objects.filter(shop=shop, reseller=reseller, removed_at=None).count() >= MOST:
        raise TooManyWebhooks
    secret = new_secret()
    endpoint = WebhookEndpoint(
        shop=shop, reseller=reseller, name=new_name("wk"), url=url, kinds=sorted(kinds), created_at=now
    )
    endpoint.sealed_secret = keyring().seal(secret.encode(), endpoint.secret_context)
    endpoint.save()
    return endpoint, secret


def webhooks_of(reseller: Reseller) -> QuerySet[WebhookEndpoint]:
    """That were not removed."""
    return reseller.webhooks.filter(removed_at=None)


def webhook_called(reseller: Reseller, name: str) -> WebhookEndpoint:
    """Raises NotHere."""
    if (found := webhooks_of(reseller).filter(name=name).first()) is None:
        raise NotHere
    return found


def deliveries_of(reseller: Reseller) -> QuerySet[WebhookDelivery]:
    """With their webhooks and events."""
    mine = WebhookDelivery.objects.filter(endpoint__reseller=reseller)
    return mine.select_related("endpoint", "event")


@transaction.atomic
def remove(endpoint: WebhookEndpoint, *, now: datetime) -> bool:
    """It hears nothing any more, also of what it was promised. True only for the caller who did it.

    The row stays: an order that moves at this moment may still promise it something.
    """
    present = WebhookEndpoint.objects.filter(pk=endpoint.pk, removed_at=None)
    if won := present.update(removed_at=now, is_active=False) == 1:
        still_open = WebhookDelivery.objects.filter(endpoint=endpoint, next_at__isnull=False)
        still_open.update(next_at=None, gave_up_at=now, last_error="the webhook was removed")
    return won


def pause(endpoint: WebhookEndpoint, *, now: datetime) -> bool:
    """What is promised waits until it is resumed. True only for the caller who did it."""
    running = WebhookEndpoint.objects.filter(pk=endpoint.pk, paused_at=None, removed_at=None)
    return running.update(paused_at=now, paused_because=BY_HAND) == 1


@transaction.atomic
def resume(endpoint: WebhookEndpoint, *, now: datetime) -> bool:
    """What has waited for it is sent, each with a whole new series of tries. True only for who did it."""
    paused = WebhookEndpoint.objects.filter(pk=endpoint.pk, paused_at__isnull=False, removed_at=None)
    cleared = {
        "paused_at": None,
        "paused_because": "",
        "failing_since": None,
        "failures": 0,
        "rests_until": None,
    }
    if won := paused.update(**cleared) == 1:
        waiting = WebhookDelivery.objects.filter(endpoint=endpoint, next_at__isnull=False)
        waiting.update(next_at=now, attempts=0)
        transaction.on_commit(lambda: wake(SEND), robust=True)
    return won
