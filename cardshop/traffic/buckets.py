"""Token buckets in Redis: how often somebody may do something, counted by all processes together.

One script call (`scripts/bucket.lua`). Every key expires when its bucket is full again, so what is remembered
is bounded by who came lately. A courtesy to everybody else: nothing is safe because of it, and while Redis is
away nobody counts.
"""

import time
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path
from threading import local
from typing import Any

import redis
from django.conf import settings
from redis.commands.core import Script

from cardshop.common.ids import keyed_digest

_SCRIPT = Path(__file__).with_name("scripts") / "bucket.lua"
_PATIENCE = 0.2  # seconds; to count must not take longer than what is counted
_REDIS_RESTS = 1.0  # seconds that this thread does not ask Redis after it has failed

_here = local()


@dataclass(frozen=True)
class Taken:
    """`remaining` tokens are left; `retry_after` seconds until as much may be taken again, 0 if it was;
    `full_in` seconds until the bucket is full.
    """

    allowed: bool
    remaining: int
    retry_after: int
    full_in: int


@dataclass(frozen=True)
class Bucket:
    """Of each `who` a bucket of `burst` tokens, of which `per_second` come back."""

    name: str
    per_second: float
    burst: int

    def take(self, who: str, *, cost: int = 1) -> Taken | None:
        """Take `cost` tokens, or none if there are fewer. None when nobody can say: the caller decides.

        `who` may be a secret, or long: Redis sees a digest of it.
        """
        if time.monotonic() < getattr(_here, "rests_until", 0.0):
            return None
        key = f"bucket:{self.name}:{keyed_digest('bucket', who)[:32]}"
        try:
            said = _script()(
                keys=[key], args=[round(1e6 / self.per_second), self.burst, cost], client=_connect()
            )
        except redis.RedisError:
            _here.rests_until = time.monotonic() + _REDIS_RESTS
            return None
        allowed, remaining, wait, full_in = map(int, said)
        return Taken(bool(allowed), remaining, ceil(wait / 1e6), ceil(full_in / 1e6))


@cache
def _script() -> Script:
    return redis.Redis().register_script(_SCRIPT.read_text())


def _connect() -> Any:
    client = getattr(_here, "client", None)
    if client is None:
        client = _here.client = redis.Redis.from_url(
            settings.ADMISSION_REDIS_URL,
            socket_timeout=_PATIENCE,
            socket_connect_timeout=_PATIENCE,
            single_connection_client=True,
        )
    return client
