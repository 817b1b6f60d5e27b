"""What pages show, computed once for everybody: kept in this process, and in Redis for all of them.

For display only: nothing is sold by it, and whoever may read a page may read what is kept here. In seconds,
with DISPLAY_SECONDS = 1: for half of one what is kept is shown as it is. Then one caller of all processes
computes it anew, while the others go on with what they have until it is a second old; older than that nobody
is shown it. Ages count from before the computing began, over both layers together.

So nobody need tell of stock: claims, releases, the allocator's batches and whatever else is written in bulk
or by hand are seen within the second, and a rush costs two computings a second for each page and language. If
every order made pages be forgotten, then in a rush none would ever be kept. Only what a merchant does (the
catalogue and the sales in the administration, an import, a pause, a wave) calls `forget_on_commit`, for which
Redis keeps a generation for each shop: what was computed in another is not shown. It is read before the
computing, so what was read before a commit cannot be taken for what came after it. What a process has at hand
it shows for half a second without asking. Shops themselves (`shop_for_host`) are known for a second.

While Redis does not answer, each process computes for itself, and asks again after a rest.
"""

import json
import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial, wraps
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from threading import Lock
from typing import Any, TypeVar

import redis
import structlog
from django.conf import settings
from django.db import transaction
from django.http import HttpResponseBase
from django.utils.translation import get_language

from cardshop.common.gateway import for_this_second
from cardshop.traffic.metrics import cache_requests

logger = structlog.get_logger(__name__)
T = TypeVar("T")
View = Callable[..., HttpResponseBase]
Clock = Callable[[], float]

PATIENCE = 1.0  # seconds to wait for another thread that computes; afterwards two do
LOOKS, PAUSE = 30, 0.02  # at what another process computes: 0.6 s, a little longer than its turn lasts
REDIS_PATIENCE = 0.25  # seconds; a page takes 0.01 s to compute
REDIS_RESTS = 5.0  # seconds that nobody asks Redis after it has failed
_MOST = 1000  # entries in a process, some 15 KB each
_GENERATION_LIVES = 60  # seconds, long after the last entry of the one before has gone


def for_everybody(view: View) -> View:
    """A view whose answer is the same for all who ask for it in the same language.

    Stock may be shown 2 s old: DISPLAY_SECONDS here and a second at the gateway leave nothing for the
    browser, which asks each time and hears by ETag that nothing has changed.
    """

    @wraps(view)
    def answered(*args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(*args, **kwargs)
        response["Cache-Control"] = "public, max-age=0, s-maxage=1"
        for name, said in for_this_second().items():
            response[name] = said
        return response

    return answered


@dataclass(frozen=True, slots=True)
class Entry:
    """A value, and the moment by the cache's clock before which its computing did not begin."""

    value: Any
    began: float


@dataclass(slots=True)
class _Slot:
    entry: Entry | None = None
    lock: Lock = field(default_factory=Lock)


def _fresh_for() -> float:
    return float(settings.DISPLAY_SECONDS) / 2


class AtHand:
    """What this process keeps. One of its threads computes a value, the others take what there is or wait."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self._slots: dict[Hashable, _Slot] = {}
        self._adding = Lock()

    def get(self, key: Hashable, compute: Callable[[], T]) -> T:
        """At most DISPLAY_SECONDS old. Raises what `compute` raises; that is not kept."""
        value: T = self.renewed_by(key, lambda: self.compute(compute)).value
        return value

    def renewed_by(self, key: Hashable, renew: Callable[[], Entry]) -> Entry:
        if not settings.DISPLAY_SECONDS:
            return renew()
        slot = self._slots.get(key) or self._add(key)
        seen = slot.entry
        age = self.clock() - seen.began if seen else settings.DISPLAY_SECONDS
        if seen and age < _fresh_for():
            _count("process", "hit")
            return seen
        usable = seen if age < settings.DISPLAY_SECONDS else None
        if not slot.lock.acquire(timeout=0 if usable else PATIENCE):
            _count("process", "hit" if usable else "miss")
            return usable or renew()
        try:
            # Made while this thread waited: as new as what it would have computed itself.
            if slot.entry is None or slot.entry is seen:
                _count("process", "miss")
                slot.entry = renew()
            return slot.entry
        finally:
            slot.lock.release()

    def compute(self, compute: Callable[[], Any]) -> Entry:
        began = self.clock()
        return Entry(compute(), began)

    def _add(self, key: Hashable) -> _Slot:
        with self._adding:
            if len(self._slots) >= _MOST:
                self._slots.pop(next(iter(self._slots)))
            return self._slots.setdefault(key, _Slot())


class DisplayCache:
    """What all processes keep together, each with a copy at hand."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._at_hand = AtHand(clock)
        self._clock = clock
        self._rests_until = -REDIS_RESTS

    def get(self, name: str, *, shop_id: int, compute: Callable[[], T]) -> T:
        """What `compute` returns for this shop in the language of the moment, at most DISPLAY_SECONDS old.

        It must be JSON and the same for everybody. Raises what `compute` raises; that is not kept, and who
        comes meanwhile waits for it in vain. So for what there is not, let it return None: strangers ask.
        """
        language = get_language() or ""
        key = f"shown:{_code_version()}:{shop_id}:{language}:{name}"
        renew = partial(self._renewed, key, _generation_of(shop_id), compute)
        value: T = self._at_hand.renewed_by(key, renew).value
        return value

    def forget(self, shop_id: int) -> None:
        """What Redis keeps of the shop is shown no more. What it misses while it is away, time does."""
        if self._redis_rests():
            return
        try:
            _connect().set(_generation_of(shop_id), token_hex(8), ex=_GENERATION_LIVES)
        except redis.RedisError:
            self._let_redis_rest()

    def _renewed(self, key: str, generation_key: str, compute: Callable[[], Any]) -> Entry:
        if not settings.DISPLAY_SECONDS or self._redis_rests():
            return self._at_hand.compute(compute)
        try:
            return self._from_redis(key, generation_key, compute)
        except redis.RedisError:
            self._let_redis_rest()
            return self._at_hand.compute(compute)

    def _from_redis(self, key: str, generation_key: str, compute: Callable[[], Any]) -> Entry:
        for _look in range(LOOKS):
            asked = self._clock()
            generation, text, lives_for = _read(key, generation_key)
            # A copy lives for DISPLAY_SECONDS from when its computing began, by Redis' clock.
            age = settings.DISPLAY_SECONDS - lives_for / 1000
            kept = _value_in(text, generation) if 0 <= age < settings.DISPLAY_SECONDS else None
            if kept and (age < _fresh_for() or not _takes_turn(key, generation)):
                _count("redis", "hit")
                return Entry(kept[0], asked - age)
            if kept or _takes_turn(key, generation):
                _count("redis", "miss")
                return self._compute_for_all(key, generation, compute)
            time.sleep(PAUSE)
        _count("redis", "miss")
        return self._at_hand.compute(compute)

    def _compute_for_all(self, key: str, generation: str, compute: Callable[[], Any]) -> Entry:
        try:
            entry = self._at_hand.compute(compute)
        except BaseException:
            _connect().delete(_turn(key, generation))  # somebody else may have more luck
            raise
        lives_for = settings.DISPLAY_SECONDS - (self._clock() - entry.began)
        if (milliseconds := int(lives_for * 1000)) > 0:
            text = json.dumps([generation, entry.value], ensure_ascii=False)
            try:
                _connect().set(key, text, px=milliseconds)
            except redis.RedisError:
                self._let_redis_rest()
        return entry

    def _redis_rests(self) -> bool:
        return self._clock() < self._rests_until

    def _let_redis_rest(self) -> None:
        logger.warning("display cache without redis", for_seconds=REDIS_RESTS)
        self._rests_until = self._clock() + REDIS_RESTS


shown = DisplayCache()


def forget_on_commit(shop_id: int) -> None:
    """What is shown of the shop changes with this transaction. See above who need not call this."""
    transaction.on_commit(lambda: shown.forget(shop_id), robust=True)


def _count(cache: str, outcome: str) -> None:
    cache_requests.labels(cache, outcome).inc()


def _read(key: str, generation_key: str) -> tuple[str, bytes | None, int]:
    """The shop's generation, the copy, and for how many milliseconds it is still kept."""
    pipe = _connect().pipeline(transaction=False)
    pipe.get(generation_key).get(key).pttl(key)
    generation, text, lives_for = pipe.execute()
    return (generation or b"").decode(errors="replace"), text, lives_for


def _value_in(text: bytes | None, generation: str) -> tuple[Any] | None:
    """The copy's value, if it is one of that generation and not something else that somebody wrote there."""
    try:
        made_in, value = json.loads(text or b"")
    except (ValueError, TypeError, RecursionError):
        return None
    return (value,) if made_in == generation else None


def _takes_turn(key: str, generation: str) -> bool:
    """Whether it is this caller who computes. The turn ends when what is computed is to be computed anew."""
    milliseconds = int(_fresh_for() * 1000)
    return bool(_connect().set(_turn(key, generation), 1, nx=True, px=milliseconds))


def _turn(key: str, generation: str) -> str:
    return f"{key}:turn:{generation}"


def _generation_of(shop_id: int) -> str:
    return f"shown:generation:{shop_id}"


@cache
def _code_version() -> str:
    """A digest of what decides about the shape of pages: releases side by side do not read each other's."""
    digest = sha256()
    for file in sorted(_sources()):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _sources() -> Iterator[Path]:
    for folder in ("cardshop", "inventory", "orders", "templates", "locale", "static"):
        for kind in ("*.py", "*.html", "*.mo", "*.css", "*.js"):
            yield from (Path(settings.BASE_DIR) / folder).rglob(kind)


@cache
def _connect() -> Any:
    return redis.Redis.from_url(
        settings.CACHES["default"]["LOCATION"],
        socket_timeout=REDIS_PATIENCE,
        socket_connect_timeout=REDIS_PATIENCE,
    )
