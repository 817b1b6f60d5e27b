"""The log of refused notices: what a merchant looks at when a provider's calls do not get through.

Anybody can make a call that is refused. So of each channel at most one a second is written, the last KEPT
stay, and nothing of what was said is among it: a stranger's text, or a buyer's.
"""

import time
from hashlib import sha256
from threading import Lock

import structlog
from django.core.cache import cache
from django.db import transaction

from cardshop.common.clock import db_now
from payments.gateways.base import RawCall
from payments.models import PaymentChannel, RefusedNotice

logger = structlog.get_logger(__name__)

KEPT = 200  # rows of each channel
APART = 1  # seconds

_written: dict[int, float] = {}
_looking = Lock()


def note_refused(channel: PaymentChannel, call: RawCall, *, why: str, address: str) -> None:
    """Write it down if its turn has come. Never raises: the answer does not depend on it."""
    try:
        if _may_write(channel.pk):
            _write(channel, call, why=why, address=address)
    except Exception as error:  # noqa: BLE001  a log that cannot be written is no reason for a 500
        logger.warning("refused notice not kept", channel=channel.slug, error=type(error).__name__)


def _may_write(channel_id: int) -> bool:
    """Once in APART for all processes together, or for each while Redis is away."""
    now = time.monotonic()
    with _looking:
        if now - _written.get(channel_id, -APART) < APART:
            return False
        _written[channel_id] = now
    # None where Redis did not answer.
    return cache.add(f"refused-notice:{channel_id}", 1, timeout=APART) is not False


@transaction.atomic
def _write(channel: PaymentChannel, call: RawCall, *, why: str, address: str) -> None:
    RefusedNotice.objects.create(
        channel=channel,
        at=db_now(),
        why=why[:200],
        method=call.method,
        size=len(call.query) + len(call.body),
        address=address[:45],
        digest=sha256(f"{call.query}\n{call.body}".encode()).hexdigest(),
    )
    of_channel = RefusedNotice.objects.filter(channel=channel).order_by("-pk")
    surplus = of_channel.values_list("pk", flat=True)[KEPT : KEPT + 1].first()
    if surplus is not None:
        of_channel.filter(pk__lte=surplus).delete()
