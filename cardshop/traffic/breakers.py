"""Circuit breakers: who has failed again and again is left alone for a while, by all processes together.

The state lies in Redis and is moved by one script (`scripts/breaker.lua`), by Redis' clock. Over the last
minute, ten calls of which half failed open it, and so do five in a row that nobody answered; for 5 s at
first, twice as long each time after that, 300 s at most. Then three probes at a time are let through, each
on a lease, so that a crash cannot keep the place; three that go well close it, one that fails opens it.

The script also keeps what it did for a month, the last fifty times, so that people can see why.

While Redis is away every process goes by what it sees itself: five failures in a row open it for 5 s.
"""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from threading import Lock, local
from typing import Any

import redis
import structlog
from django.conf import settings
from redis.commands.core import Script

from cardshop.traffic.metrics import breaker_moves, redis_errors

logger = structlog.get_logger(__name__)

# Seconds that a closed breaker is believed to be so without asking, and that answers are counted here before
# Redis is told: in a rush both would cost more than the provider is worth asking about.
CLOSED_FOR = 0.1
IN_A_ROW, LEFT_ALONE = 5, 5.0
_SCRIPT = Path(__file__).with_name("scripts") / "breaker.lua"
_REDIS_RESTS = 1.0  # seconds that nobody asks Redis after it has failed

_here = local()


class BreakerOpen(Exception):
    """The call was not made. `again_in` seconds it may be worth another try."""

    def __init__(self, again_in: float) -> None:
        super().__init__(f"left alone for {again_in:.1f} s")
        self.again_in = again_in


@dataclass
class _Seen:
    """What this process has seen of one breaker."""

    closed_until: float = 0.0
    told_until: float = 0.0
    answers: int = 0  # that Redis has not been told of
    in_a_row: int = 0
    open_until: float = 0.0
    lock: Lock = field(default_factory=Lock)


@dataclass(frozen=True)
class Transition:
    """What a breaker did `at` that moment: it opened `until` another one, or closed when that is None.

    `why` it opened: "row" (a few in a row that nobody answered), "share" (of a minute's calls) or "probe".
    """

    at: datetime
    until: datetime | None = None
    why: str = ""


class Breaker:
    """The breaker of that name. `failures` are the errors that count; of those, `no_answer` are the ones of
    which a few in a row are enough.
    """

    def __init__(
        self, name: str, *, failures: type[Exception], no_answer: type[Exception] | tuple[()] = ()
    ) -> None:
        self.name, self._failures, self._no_answer = name, failures, no_answer
        tag = f"breaker:{{{name}}}:"
        self._keys = [f"{tag}state", f"{tag}probes", f"{tag}history"]
        self._seen = _seen_of(name)

    @contextmanager
    def around(self) -> Iterator[None]:
        """Around one call. Raises BreakerOpen instead of making it."""
        token = secrets.token_hex(8)
        self._ask(token)
        try:
            yield
        except self._failures as error:
            self._tell("nobody" if isinstance(error, self._no_answer) else "failed", token)
            raise
        except BaseException:
            self._tell("ok", token)  # whatever else it was, there was an answer
            raise
        self._tell("ok", token)

    def open_for(self) -> float | None:
        """Seconds until the next call may be tried; None if it is closed, or nobody can say."""
        if _redis_rests():
            return None
        try:
            pipe = _connect().pipeline(transaction=False)
            pipe.hmget(self._keys[0], "state", "until")
            pipe.time()
            (state, until), (seconds, micros) = pipe.execute()
        except redis.RedisError:
            _let_redis_rest()
            return None
        if state is None or state == b"closed":
            return None
        return max(0.0, int(until) / 1000 - float(seconds) - float(micros) / 1e6)

    def history(self) -> list[Transition] | None:
        """What it did, newest first; None if nobody can say. Nothing of what processes did without Redis."""
        if _redis_rests():
            return None
        try:
            return [_transition(text.decode()) for text in _connect().lrange(self._keys[2], 0, -1)]
        except redis.RedisError:
            _let_redis_rest()
            return None

    def _ask(self, token: str) -> None:
        now = time.monotonic()
        if now < self._seen.closed_until:
            return
        said = self._say("ask", token)
        if said is None:
            if now < self._seen.open_until:
                raise BreakerOpen(self._seen.open_until - now)
        elif said[0] == 0:
            raise BreakerOpen(said[1] / 1000)
        elif said[0] == 1:
            self._seen.closed_until = now + CLOSED_FOR

    def _tell(self, how: str, token: str) -> None:
        now, seen = time.monotonic(), self._seen
        with seen.lock:
            seen.in_a_row = 0 if how == "ok" else seen.in_a_row + 1
            if seen.in_a_row >= IN_A_ROW:
                seen.open_until = now + LEFT_ALONE
            seen.answers += how == "ok"
            if how == "ok" and now < min(seen.told_until, seen.closed_until):
                return
            seen.told_until, answers, seen.answers = now + CLOSED_FOR, seen.answers, 0
        said = self._say(how, token, answers)
        if said is None:
            return
        state, *moved = said
        if moved:
            breaker_moves.labels(self.name, state.decode()).inc()
        if state == b"open":
            self._seen.closed_until = 0.0
            if how != "ok":
                logger.warning("breaker open", breaker=self.name)

    def _say(self, verb: str, token: str, answers: int = 0) -> Any:
        """The script's answer; None while Redis is away."""
        if _redis_rests():
            return None
        try:
            return _script()(keys=self._keys, args=[verb, token, answers], client=_connect())
        except redis.RedisError:
            _let_redis_rest()
            return None


def _transition(text: str) -> Transition:
    what, at, *more = text.split()
    if what == "closed":
        return Transition(_moment(at))
    until, why = more
    return Transition(_moment(at), _moment(until), why)


def _moment(milliseconds: str) -> datetime:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)


def _redis_rests() -> bool:
    return time.monotonic() < getattr(_here, "rests_until", 0.0)


def _let_redis_rest() -> None:
    redis_errors.labels("breakers").inc()
    _here.rests_until = time.monotonic() + _REDIS_RESTS


@cache
def _seen_of(name: str) -> _Seen:
    return _Seen()


@cache
def _script() -> Script:
    return redis.Redis().register_script(_SCRIPT.read_text())


def _connect() -> Any:
    """This thread's connection. A call to a provider must not wait long for whether it may be made."""
    client = getattr(_here, "client", None)
    if client is None:
        client = _here.client = redis.Redis.from_url(
            settings.ADMISSION_REDIS_URL,
            socket_timeout=0.5,
            socket_connect_timeout=0.5,
            single_connection_client=True,
        )
    return client
