"""Celery's broker: RabbitMQ in production, Redis at home. It only wakes, so it may lose everything."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from kombu import Exchange, Queue
from kombu import binding as bind

# Not amqps: py-amqp, left as it is, does not look whose certificate it is shown.
SCHEMES = frozenset({"amqp", "redis", "rediss", "redis+socket"})

# Only what a worker refused, or what came back from too many of them, is for people to see. Wake-ups that
# were too late or too many also go to the exchange, which has no place for them: they are forgotten.
# The reason stands in a header that begins with x-, which only `all-with-x` looks at.
_BURIAL = Exchange("dead", type="headers")
DEAD_LETTERS = Queue(
    "dead",
    bindings=[
        bind(_BURIAL, arguments={"x-match": "all-with-x", "x-first-death-reason": reason})
        for reason in ("rejected", "delivery_limit")
    ],
    queue_arguments={"x-queue-type": "quorum", "x-max-length": 1000},
)

_WAKE_UPS = {
    "x-queue-type": "quorum",
    "x-dead-letter-exchange": _BURIAL.name,
    # Milliseconds. After a sweep or two an unread wake-up says nothing new.
    "x-message-ttl": 60_000,
    # Of many the oldest go: the younger ones say the same.
    "x-max-length": 10_000,
    "x-overflow": "drop-head",
    "x-delivery-limit": 5,
}

# A connection may have died while it lay idle: then once more, with a new one.
RETRY_ONCE = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}


def is_rabbitmq(url: str) -> bool:
    return urlsplit(url).scheme == "amqp"


def queues(routes: Mapping[str, Mapping[str, str]]) -> list[Queue]:
    """The queues that tasks are routed to, after the one for all the others. Redis ignores the arguments."""
    names: Iterable[str] = ("celery", *sorted({route["queue"] for route in routes.values()}))
    return [Queue(name, routing_key=name, queue_arguments=dict(_WAKE_UPS)) for name in names]


def transport_options(url: str) -> dict[str, Any]:
    """Celery's options for the broker at `url`: one that is there and silent costs a sender 3 s at most."""
    if not is_rabbitmq(url):
        return {"socket_timeout": 3, "socket_connect_timeout": 2, "visibility_timeout": 300}
    return {
        "confirm_publish": True,
        "connect_timeout": 1,
        "read_timeout": 1,  # also of the wait for a confirm
        "write_timeout": 1,
        # Without these a publisher whose broker is gone tries to connect for ever.
        **RETRY_ONCE,
    }
