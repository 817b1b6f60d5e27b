"""How a Celery worker reads its queues, where Celery's own way does not suit RabbitMQ."""

from typing import Any, ClassVar

import structlog
from celery.bootsteps import StartStopStep
from celery.worker import consumer

from cardshop.settings import broker

logger = structlog.get_logger(__name__)


class DeadLetters(StartStopStep):
    """Declares, with each new connection, where RabbitMQ puts what workers refuse: it may have been wiped."""

    requires = ("celery.worker.consumer.connection:Connection",)

    def start(self, c: Any) -> None:
        if broker.is_rabbitmq(c.app.conf.broker_url):
            with c.connection.channel() as channel:
                broker.DEAD_LETTERS(channel).declare()


class Consumer(consumer.Consumer):
    class Blueprint(consumer.Consumer.Blueprint):  # type: ignore[misc, valid-type]
        # The step left out declares twenty-eight queues for tasks with an ETA. Ours have none:
        # outbox.services.wake waits by itself.
        default_steps: ClassVar = [
            *(step for step in consumer.Consumer.Blueprint.default_steps if "delayed_delivery" not in step),
            DeadLetters,
        ]

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Refused, where Celery would acknowledge it: so it becomes a dead letter."""
        logger.error("unreadable message", error=type(exc).__name__)
        message.reject()
