"""Events that the shop sends: believed only when they are signed with the webhook's secret, and of now."""

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cardshop_client.models import Event


class BadSignature(Exception):
    """Not sent by the shop, or sent long ago. Answer with 400 and do nothing."""


@dataclass(frozen=True)
class Delivery:
    """`id` is that of the call, for the log; `event.id` is the same however often the event is sent."""

    id: str
    event: Event


def read_delivery(
    headers: Mapping[str, str],
    body: bytes,
    secret: str,
    *,
    tolerance: float = 300.0,
    now: float | None = None,
) -> Delivery:
    """What was sent; `body` as it came, `tolerance` in seconds. Raises BadSignature."""
    said = {name.lower(): value for name, value in headers.items()}
    timestamp, delivery = said.get("cardshop-timestamp", ""), said.get("cardshop-delivery", "")
    signed = f"{timestamp}.{delivery}.".encode() + body
    expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), said.get("cardshop-signature", "").encode()):
        raise BadSignature("the signature does not fit")
    if abs(int(timestamp) - (time.time() if now is None else now)) > tolerance:
        raise BadSignature("it is too old")
    fields: dict[str, Any] = json.loads(body)
    return Delivery(id=delivery, event=Event.read(fields))
