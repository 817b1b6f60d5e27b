"""The broker: whether it answers, and whether anybody reads its queues."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from kombu import Connection

from cardshop.operations.doctor.findings import Finding, ok, problem, warning
from cardshop.settings import broker

BACKLOG = 1000  # messages: each says only that there is work, and most are a minute old at most


@dataclass(frozen=True)
class Queue:
    """`consumers` is None where the broker does not know; `is_there`: somebody has declared it."""

    name: str
    is_there: bool
    messages: int
    consumers: int | None


def look_at_broker() -> Iterator[Finding]:
    url = settings.CELERY_BROKER_URL
    try:
        queues = _queues_of_rabbitmq(url) if broker.is_rabbitmq(url) else _queues_of_redis(url)
    except Exception:  # noqa: BLE001  kombu raises whatever its transport raises
        yield problem(
            _("The broker does not answer: workers are not woken, so nothing is delivered."),
            _(
                "Start it, and see that the address in BROKER_URL is right. Orders and payments are taken "
                "meanwhile, and nothing of them is lost."
            ),
        )
        return
    yield from judge(queues)


def judge(queues: list[Queue]) -> Iterator[Finding]:
    wanted = [queue for queue in queues if queue.name != broker.DEAD_LETTERS.name]
    unread = [queue.name for queue in wanted if queue.consumers == 0 or not queue.is_there]
    if unread:
        yield problem(
            _("Nobody reads these queues: %(queues)s.") % {"queues": ", ".join(unread)},
            _("Start the workers that read them: they are the processes of the Procfile with --queues."),
        )
    if long := [queue for queue in wanted if queue.messages > BACKLOG]:
        yield warning(
            _("Many messages wait: %(queues)s.")
            % {"queues": ", ".join(f"{queue.name} ({queue.messages})" for queue in long)},
            _("See that their workers run and what they are doing; if all is well they need more threads."),
        )
    for queue in queues:
        if queue.name == broker.DEAD_LETTERS.name and queue.messages:
            yield warning(
                _("%(count)d message(s) could not be read or killed their worker five times.")
                % {"count": queue.messages},
                _("Look into the queue `dead` (docs/broker.md), and purge it when you know why."),
            )
    if not unread and not long:
        yield ok(_("The broker answers, and its queues are read."))


def _queues_of_rabbitmq(url: str) -> list[Queue]:
    names = [queue.name for queue in settings.CELERY_TASK_QUEUES]
    with Connection(
        url, connect_timeout=3, transport_options={"read_timeout": 3, "write_timeout": 3}
    ) as link:
        link.ensure_connection(max_retries=1, timeout=3)
        return [_look_into(link, name) for name in [*names, broker.DEAD_LETTERS.name]]


def _look_into(link: Any, name: str) -> Queue:
    """In a channel of its own: the question for a queue that is not there closes it."""
    channel = link.channel()
    try:
        said = channel.queue_declare(name, passive=True)
    except link.channel_errors:
        return Queue(name, is_there=name == broker.DEAD_LETTERS.name, messages=0, consumers=None)
    finally:
        channel.close()
    return Queue(name, is_there=True, messages=said.message_count, consumers=said.consumer_count)


def _queues_of_redis(url: str) -> list[Queue]:
    """There a queue is a list, which is not there while it is empty; who reads it nobody knows."""
    options = {"socket_timeout": 3, "socket_connect_timeout": 3, **broker.RETRY_ONCE}
    with Connection(url, transport_options=options) as link:
        channel: Any = link.default_channel
        return [
            Queue(queue.name, is_there=True, messages=channel.client.llen(queue.name), consumers=None)
            for queue in settings.CELERY_TASK_QUEUES
        ]
