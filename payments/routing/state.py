"""The cohorts and the snapshot in Redis, one set for each shop and method.

Whoever finds the snapshot a second old makes the next one, if nobody else is at it; everybody decides by the
one there is. Every key expires. Nothing here raises for want of Redis: what cannot be told is not told.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from threading import local
from typing import Any, TypeVar

import redis
from django.conf import settings
from redis.commands.core import Script

from cardshop.traffic.metrics import redis_errors
from payments.routing.cohorts import COARSE, DELAYS, FINE, FINE_KEPT, KEPT, Cohort, begins_in_use
from payments.routing.delays import curve_of
from payments.routing.estimator import (
    CURVES_LAST,
    REACH,
    Curves,
    Estimate,
    Knobs,
    Snapshot,
    estimate,
    learn_curves,
)

SNAPSHOT_LASTS = 1.0  # seconds
# Seconds that an attempt is remembered: longer than any hold; that a buyer's are counted together.
_ATTEMPT_KEPT, BUYER_WINDOW = 2 * 3600, 600
_FINE_KEPT, _COARSE_KEPT = 2 * FINE_KEPT + COARSE, KEPT + 2 * COARSE
_SCRIPTS = Path(__file__).with_name("scripts")
_REDIS_RESTS = 1.0  # seconds that nobody asks Redis after it has failed

_here = local()
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Place:
    """Where a shop's channels of one method are kept."""

    shop_id: int
    method: str

    def key(self, *parts: object) -> str:
        """All in one hash slot, for the scripts touch several."""
        return ":".join([f"route:{{{self.shop_id}:{self.method}}}", *map(str, parts)])

    def cohort(self, lasts: int, begins: int) -> str:
        return self.key("cohort", lasts, begins)

    def cohorts_at(self, at: float) -> list[str]:
        return [self.cohort(lasts, int(at) // lasts * lasts) for lasts in (FINE, COARSE)]


def record_sent(place: Place, *, channel: int, attempt: str, who: str, at: float) -> None:
    buyer = sha256(who.encode()).hexdigest()[:16] if who else attempt
    keys = [place.key("attempt", attempt), place.key("buyer", channel, buyer), *place.cohorts_at(at)]
    kept = [_ATTEMPT_KEPT, BUYER_WINDOW, _FINE_KEPT, _COARSE_KEPT]
    _ask(lambda client: _script("sent")(keys=keys, args=[channel, f"{at:.3f}", *kept], client=client))


def record_paid(place: Place, *, channel: int, attempt: str, at: float) -> None:
    names = f"{place.key('cohort')}:"
    args: list[int | str] = [channel, f"{at:.3f}", names, FINE, COARSE, _FINE_KEPT, _COARSE_KEPT, *DELAYS]
    _ask(lambda client: _script("paid")(keys=[place.key("attempt", attempt)], args=args, client=client))


def record_error(place: Place, *, channel: int, at: float) -> None:
    def tell(client: Any) -> None:
        pipe = client.pipeline()
        for key, kept in zip(place.cohorts_at(at), (_FINE_KEPT, _COARSE_KEPT), strict=True):
            pipe.hincrbyfloat(key, f"e:{channel}", 1)
            pipe.expire(key, kept)
        pipe.execute()

    _ask(tell)


def snapshot(place: Place, *, at: float, knobs: Knobs) -> Snapshot | None:
    """The one there is, made anew if it is too old and nobody else is at it. None while Redis is away."""
    return _ask(lambda client: _snapshot(client, place, at, knobs))


def cohorts_of(place: Place, *, at: float, reach: float = KEPT) -> list[Cohort]:
    """Of the last `reach` seconds, newest first; empty while Redis is away."""
    return _ask(lambda client: _cohorts(client, place, at, reach)) or []


def _snapshot(client: Any, place: Place, at: float, knobs: Knobs) -> Snapshot:
    stored = client.get(place.key("snapshot"))
    known = _read_snapshot(stored) if stored else None
    if known and at - known.at < SNAPSHOT_LASTS:
        return known
    if not client.set(place.key("lease"), 1, nx=True, px=int(SNAPSHOT_LASTS * 1000)):
        return known or Snapshot(at)
    cohorts = _cohorts(client, place, at, REACH * knobs.memory)
    made = estimate(cohorts, at, _curves(client, place, cohorts, at), knobs)
    client.set(place.key("snapshot"), _write_snapshot(made), ex=KEPT)
    return made


def _curves(client: Any, place: Place, cohorts: list[Cohort], at: float) -> Curves:
    if stored := client.get(place.key("curves")):
        said = json.loads(stored)
        own = {int(channel): curve_of(shares) for channel, shares in said["own"].items()}
        return Curves(said["at"], curve_of(said["all"]), own)
    learnt = learn_curves(cohorts, at)
    own_shares = {channel: curve.shares for channel, curve in learnt.own.items()}
    text = json.dumps({"at": at, "all": learnt.all.shares, "own": own_shares})
    client.set(place.key("curves"), text, px=int(CURVES_LAST * 1000))
    return learnt


def _cohorts(client: Any, place: Place, at: float, reach: float) -> list[Cohort]:
    fine, coarse = begins_in_use(at, reach)
    wanted = [(FINE, begins) for begins in fine] + [(COARSE, begins) for begins in coarse]
    pipe = client.pipeline(transaction=False)
    for lasts, begins in wanted:
        pipe.hgetall(place.cohort(lasts, begins))
    answers = zip(wanted, pipe.execute(), strict=True)
    return [_read_cohort(lasts, begins, fields) for (lasts, begins), fields in answers if fields]


def _read_cohort(lasts: int, begins: int, fields: dict[bytes, bytes]) -> Cohort:
    cohort = Cohort(begins, lasts)
    for name, value in fields.items():
        kind, channel, *where = name.decode().split(":")
        tally, weight = cohort.of(int(channel)), float(value)
        match kind:
            case "s":
                tally.sent = weight
            case "e":
                tally.errors = weight
            case "p":
                tally.paid += weight
                tally.delays[int(where[0])] = weight
    return cohort


def _write_snapshot(made: Snapshot) -> str:
    return json.dumps([made.at, made.estimates, made.anyone, made.per_second, made.in_flight])


def _read_snapshot(stored: bytes) -> Snapshot:
    at, estimates, anyone, per_second, in_flight = json.loads(stored)
    return Snapshot(
        at=at,
        estimates={int(channel): Estimate(*numbers) for channel, numbers in estimates.items()},
        anyone=Estimate(*anyone),
        per_second=per_second,
        in_flight=in_flight,
    )


def _ask(question: Callable[[Any], Answer]) -> Answer | None:
    """The answer; None while Redis is away."""
    if time.monotonic() < getattr(_here, "rests_until", 0.0):
        return None
    try:
        return question(_connect())
    except redis.RedisError:
        redis_errors.labels("routing").inc()
        _here.rests_until = time.monotonic() + _REDIS_RESTS
        return None


@cache
def _script(name: str) -> Script:
    return redis.Redis().register_script((_SCRIPTS / f"{name}.lua").read_text())


def _connect() -> Any:
    """This thread's connection. No buyer waits long for advice on where to go."""
    client = getattr(_here, "client", None)
    if client is None:
        client = _here.client = redis.Redis.from_url(
            settings.ADMISSION_REDIS_URL,
            socket_timeout=0.5,
            socket_connect_timeout=0.5,
            single_connection_client=True,
        )
    return client
