"""One delivery as one POST, and what came of it. Network, and no database: any thread may do it."""

import json
import time
from dataclasses import dataclass

from django.conf import settings

from cardshop.common.crypto import CannotOpen
from cardshop.common.errors import DomainError
from cardshop.common.outgoing import NoAnswer, post
from resellers.models import Event, WebhookDelivery
from resellers.webhooks import signing

SECONDS = 10.0  # for a call, however slowly it is answered
ANSWER_READ = 4 * 1024  # bytes
ANSWER_KEPT = 500  # characters


@dataclass(frozen=True)
class Outcome:
    """`status` is None where there was no answer at all. Nothing of ours that is secret stands in it."""

    status: int | None = None
    error: str = ""
    response: str = ""

    @property
    def is_delivered(self) -> bool:
        return not self.error


def call(delivery: WebhookDelivery) -> Outcome:
    """With its endpoint and event. Raises nothing that a receiver could cause."""
    endpoint, body = delivery.endpoint, body_of(delivery.event)
    try:
        secret = endpoint.opened_secret()
    except CannotOpen:
        return Outcome(error="its secret does not open: remove it and make another")
    signed = signing.headers(
        secret, endpoint.name, timestamp=int(time.time()), delivery=str(delivery.uid), body=body
    )
    try:
        answer = post(
            endpoint.url,
            body=body,
            headers={"Content-Type": "application/json; charset=utf-8", **signed},
            seconds=SECONDS,
            private=settings.WEBHOOKS_PRIVATE_ADDRESSES,
            most=ANSWER_READ,
        )
    except (NoAnswer, DomainError) as error:
        return Outcome(error=str(error)[:200])
    said = answer.body.decode(errors="replace").replace("\0", "")
    for ours in (secret, signed[signing.SIGNATURE]):
        said = said.replace(ours, "***")
    return Outcome(answer.status, "" if answer.is_yes else f"it answered {answer.status}", said[:ANSWER_KEPT])


def body_of(event: Event) -> bytes:
    """The same for every try. No card key is ever in it, and of an e-mail only what tells it to its owner."""
    return json.dumps(as_told(event), ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def as_told(event: Event) -> dict[str, object]:
    return {
        "id": str(event.uid),
        "kind": event.kind,
        "subject": event.subject,
        "at": event.at.isoformat(),
        "data": event.data,
    }
